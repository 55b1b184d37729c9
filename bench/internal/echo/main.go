// Command echo is the MCP server of the benchmarks: one tool, which returns its
// text. It is written by hand, so that it costs as little as can be. It speaks
// on its standard input and output, or with the argument "http" on loopback:
// then it prints its address, below which /json and /events are streamable
// HTTP with the one and the other form of answers, and /sse is HTTP with SSE.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "http" {
		serveHTTP()
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if b := answer(lines.Bytes()); b != nil {
			os.Stdout.Write(append(b, '\n'))
		}
	}
}

// answer returns the response to a message, or nil if it wants none.
func answer(msg []byte) []byte {
	var req struct {
		ID     json.RawMessage
		Method string
		Params struct {
			Arguments struct{ Text string }
		}
	}
	if json.Unmarshal(msg, &req) != nil || req.ID == nil {
		return nil // a notification
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
	return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":%s,%s}`, req.ID, answer)
}

func serveHTTP() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + l.Addr().String())
	mux := http.NewServeMux()
	streamable := func(kind, before, after string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			msg, err := io.ReadAll(r.Body)
			b := answer(msg)
			if err != nil || b == nil {
				w.WriteHeader(http.StatusAccepted)
				return
			}
			w.Header().Set("Content-Type", kind)
			w.Write(append(append([]byte(before), b...), after...))
		}
	}
	mux.HandleFunc("POST /json", streamable("application/json", "", ""))
	mux.HandleFunc("POST /events", streamable("text/event-stream", "event: message\ndata: ", "\n\n"))

	var mu sync.Mutex
	streams := make(map[string]chan []byte)
	mux.HandleFunc("GET /sse", func(w http.ResponseWriter, r *http.Request) {
		events := make(chan []byte, 64)
		mu.Lock()
		id := strconv.Itoa(len(streams))
		streams[id] = events
		mu.Unlock()
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "event: endpoint\ndata: /messages?session=%s\n\n", id)
		for {
			w.(http.Flusher).Flush()
			select {
			case b := <-events:
				w.Write(bytes.Join([][]byte{[]byte("event: message\ndata: "), b, []byte("\n\n")}, nil))
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("POST /messages", func(w http.ResponseWriter, r *http.Request) {
		msg, _ := io.ReadAll(r.Body)
		mu.Lock()
		events := streams[r.URL.Query().Get("session")]
		mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
		if b := answer(msg); b != nil {
			events <- b
		}
	})
	log.Fatal(http.Serve(l, mux))
}
