// Command echo is the MCP server of the benchmarks: one tool, which returns its
// text. It is written by hand, so that it costs as little as can be.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var req struct {
			ID     json.RawMessage
			Method string
			Params struct {
				Arguments struct{ Text string }
			}
		}
		if json.Unmarshal(lines.Bytes(), &req) != nil || req.ID == nil {
			continue // a notification
		}
		var answer string
		switch req.Method {
		case "initialize":
			answer = `"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"echo","version":"1"}}`
		case "tools/list":
			answer = `"result":{"tools":[{"name":"echo","description":"Returns the text.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}}]}`
		case "tools/call":
			text, _ := json.Marshal(req.Params.Arguments.Text)
			answer = `"result":{"content":[{"type":"text","text":` + string(text) + `}]}`
		default:
			answer = `"error":{"code":-32601,"message":"method not found"}`
		}
		var b bytes.Buffer
		fmt.Fprintf(&b, `{"jsonrpc":"2.0","id":%s,%s}`+"\n", req.ID, answer)
		os.Stdout.Write(b.Bytes())
	}
}
