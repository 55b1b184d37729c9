package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
)

type numbers struct {
	A float64 `json:"a" jsonschema:"first number"`
	B float64 `json:"b" jsonschema:"second number"`
}

type note struct {
	Text string `json:"text" jsonschema:"what to write down"`
}

// serveTools is an MCP server. Its first argument says how it behaves.
func serveTools() {
	if err := os.WriteFile(fmt.Sprintf("pid%d", len(os.Args)), fmt.Appendln(nil, os.Getpid()), 0o666); err != nil {
		panic(err)
	}
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "die":
			fmt.Fprintln(os.Stderr, "first words")
			fmt.Fprintln(os.Stderr, "cannot find my data")
			os.Exit(3)
		case "mute":
			select {}
		}
	}
	tools := newTools()
	if len(os.Args) > 1 && os.Args[1] == "ask" {
		addAsking(tools)
	}
	if len(os.Args) > 1 && os.Args[1] == "exit" {
		addEnding(tools)
	}
	if err := tools.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func newTools() *mcp.Server {
	readOnly := &mcp.ToolAnnotations{ReadOnlyHint: true}
	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "add", Description: "Add two numbers.", Annotations: readOnly},
		func(_ context.Context, _ *mcp.CallToolRequest, in numbers) (*mcp.CallToolResult, any, error) {
			return text(fmt.Sprint(in.A + in.B)), nil, nil
		})
	mcp.AddTool(server, &mcp.Tool{Name: "save_note", Description: "Save a note."},
		func(_ context.Context, _ *mcp.CallToolRequest, in note) (*mcp.CallToolResult, any, error) {
			return text("saved " + in.Text), nil, os.WriteFile("note", []byte(in.Text+"\n"), 0o666)
		})
	mcp.AddTool(server, &mcp.Tool{Name: "environment", Description: "List the names of all variables."},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			names := os.Environ()
			for i, v := range names {
				names[i], _, _ = strings.Cut(v, "=")
			}
			slices.Sort(names)
			return text(strings.Join(names, " ")), nil, nil
		})
	for name, signal := range map[string]os.Signal{"interrupt": os.Interrupt, "terminate": syscall.SIGTERM, "hangup": syscall.SIGHUP, "hang": syscall.Signal(0)} {
		mcp.AddTool(server, &mcp.Tool{Name: name, Description: "Send a signal to the client, and never answer."},
			func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
				client, err := os.FindProcess(os.Getppid())
				if err == nil {
					err = client.Signal(signal)
				}
				if err != nil {
					return nil, nil, err
				}
				<-ctx.Done()
				return nil, nil, ctx.Err()
			})
	}
	return server
}

// addAsking adds a tool that asks a person for its arguments.
func addAsking(server *mcp.Server) {
	const schema = `{"type":"object","properties":{"name":{"type":"string","title":"Your name"},"age":{"type":"integer","minimum":18}},"required":["name"]}`
	server.AddTool(&mcp.Tool{Name: "greet", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			answer, asked := req.Params.InputResponses["who"].(*mcp.ElicitResult)
			if !asked {
				return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{
					"who": &mcp.ElicitParams{Mode: "form", Message: "Who are you?", RequestedSchema: json.RawMessage(schema)},
				}}, nil
			}
			return text(fmt.Sprint(answer.Action, answer.Content)), nil
		})
}

// addEnding adds a tool that ends the server.
func addEnding(server *mcp.Server) {
	mcp.AddTool(server, &mcp.Tool{Name: "exit"}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		fmt.Fprintln(os.Stderr, "I was told to")
		os.Exit(4)
		return nil, nil, nil
	})
}

// serveRemote serves the tools by HTTP, to everybody at the first URL and to who
// has logged in at the second.
func serveRemote(t *testing.T) (open, protected string) {
	tools := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return newTools() }, nil)
	server := httptest.NewServer(tools)
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	resource := oauthtest.Protect(t, tools, oauthtest.ResourceConfig{}, oauthtest.New(t, oauthtest.Config{}))
	return server.URL, resource.URL
}

func text(s string) *mcp.CallToolResult {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: s}}}
}
