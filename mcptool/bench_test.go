//go:build unix

package mcptool_test

import (
	"bufio"
	"encoding/json"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
)

// BenchmarkCall compares a call of a tool over stdio: go-sdk as it comes, this
// package, and the least that a client can do, a line out and a line back. All
// speak with the same server. cpu-ns/op is of this process alone, and so are
// B/op; how it is read stands in design/mcp-transport.md.
func BenchmarkCall(b *testing.B) {
	args := json.RawMessage(`{"text":"` + strings.Repeat("x", 100) + `"}`)
	ways := []struct {
		name string
		call func(b *testing.B) func() error
	}{
		{"stock", func(b *testing.B) func() error {
			cs := stock(b, "lean", nil)
			return func() error {
				_, err := cs.CallTool(b.Context(), &mcp.CallToolParams{Name: "echo", Arguments: args})
				return err
			}
		}},
		{"ours", func(b *testing.B) func() error {
			tools, err := testServer(b, "lean").Tools(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			for _, t := range tools {
				if t.Definition().Original == "echo" {
					return func() error {
						_, err := t.Call(b.Context(), &tramontane.Call{Key: "run/1/id", Arguments: args})
						return err
					}
				}
			}
			panic("no echo")
		}},
		{"floor", func(b *testing.B) func() error { return floor(b, args) }},
	}
	for _, parallel := range []string{"1", "64"} {
		for _, way := range ways {
			if way.name == "floor" && parallel != "1" {
				continue // it has no way to match answers with calls
			}
			b.Run(way.name+"/calls="+parallel, func(b *testing.B) {
				call := way.call(b)
				b.ReportAllocs()
				cpu := cpuTime()
				b.ResetTimer()
				if parallel == "1" {
					for b.Loop() {
						if err := call(); err != nil {
							b.Fatal(err)
						}
					}
				} else {
					b.SetParallelism(64 / runtime.GOMAXPROCS(0))
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := call(); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
			})
		}
	}
}

// floor returns a call without any library: it writes the request and reads
// the line that comes back.
func floor(b *testing.B, args json.RawMessage) func() error {
	cmd := exec.Command(testBinary(b))
	cmd.Env = append(cmd.Environ(), serverEnv+"=lean")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	answers := bufio.NewReaderSize(out, 64<<10)
	io.WriteString(in, `{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25",`+
		`"capabilities":{},"clientInfo":{"name":"floor","version":"1"}}}`+"\n")
	if _, err := answers.ReadSlice('\n'); err != nil {
		b.Fatal(err)
	}
	io.WriteString(in, `{"jsonrpc":"2.0","method":"notifications/initialized"}`+"\n")
	request := []byte(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":` + string(args) + `}}` + "\n")
	return func() error {
		if _, err := in.Write(request); err != nil {
			return err
		}
		_, err := answers.ReadSlice('\n')
		return err
	}
}

// cpuTime is what this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
