package mcptool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// giftShop is an MCP server that asks before it sells, and has resources and a
// prompt. It runs in this process, so that the examples need no other.
func giftShop() *mcp.Server {
	server := mcp.NewServer(&mcp.Implementation{Name: "shop", Version: "1"}, nil)
	question := &mcp.ElicitParams{
		Mode:            "form",
		Message:         "How shall it be paid?",
		RequestedSchema: json.RawMessage(`{"type":"object","properties":{"card":{"type":"string","title":"Card","enum":["visa","master"]},"gift":{"type":"boolean","default":false}},"required":["card"]}`),
	}
	server.AddTool(&mcp.Tool{Name: "buy", InputSchema: json.RawMessage(`{"type":"object"}`)},
		func(_ context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			answer, asked := req.Params.InputResponses["pay"].(*mcp.ElicitResult)
			if !asked {
				return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"pay": question}}, nil
			}
			return said(fmt.Sprintf("paid by %v, as a gift: %v", answer.Content["card"], answer.Content["gift"])), nil
		})
	server.AddResource(&mcp.Resource{URI: "shop:terms", Name: "terms", MIMEType: "text/plain"},
		func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: req.Params.URI, MIMEType: "text/plain", Text: "No returns."}}}, nil
		})
	server.AddPrompt(&mcp.Prompt{Name: "gift", Arguments: []*mcp.PromptArgument{{Name: "for", Required: true}}},
		func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
			text := "Find a gift for " + req.Params.Arguments["for"] + "."
			return &mcp.GetPromptResult{Messages: []*mcp.PromptMessage{{Role: "user", Content: &mcp.TextContent{Text: text}}}}, nil
		})
	return server
}

// A server asks a person in the middle of a call.
func ExampleElicitation() {
	server := &mcptool.Server{
		Name: "shop",
		Dial: mcptool.InMemory(giftShop()),
		Elicit: func(_ context.Context, q *mcptool.Elicitation) (*mcptool.ElicitationAnswer, error) {
			fmt.Printf("%s asks: %s\n", q.Server, q.Message)
			for _, f := range q.Fields {
				fmt.Println(f.Name, f.Type, f.Options, f.Required)
			}
			return &mcptool.ElicitationAnswer{Action: mcptool.ElicitAccept, Content: map[string]any{"card": "visa"}}, nil
		},
	}
	defer server.Close()

	tools, err := server.Tools(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	result, err := tools[0].Call(context.Background(), &tramontane.Call{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text())
	// Output:
	// shop asks: How shall it be paid?
	// card string [{visa } {master }] true
	// gift boolean [] false
	// paid by visa, as a gift: false
}

func ExampleServer_Resources() {
	ctx := context.Background()
	server := &mcptool.Server{Name: "shop", Dial: mcptool.InMemory(giftShop())}
	defer server.Close()

	for link, err := range server.Resources(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		contents, err := server.ReadResource(ctx, link.URI)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(link.Name, contents[0].Text)
	}
	_, err := server.ReadResource(ctx, "shop:other")
	fmt.Println(err)
	// Output:
	// terms No returns.
	// mcp server shop: read resource shop:other: the server answered with error -32602: Resource not found: the server has none of this name
}

// A prompt of a server is the input of a run.
func ExampleServer_Prompt() {
	ctx := context.Background()
	server := &mcptool.Server{Name: "shop", Dial: mcptool.InMemory(giftShop())}
	defer server.Close()

	for prompt, err := range server.Prompts(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(prompt.Name, prompt.Arguments[0].Name)
	}
	prompt, err := server.Prompt(ctx, "gift", map[string]string{"for": "Ann"})
	if err != nil {
		log.Fatal(err)
	}
	for _, input := range prompt.Inputs() {
		fmt.Println(input.(*mistral.MessageInput).Content)
	}
	// Output:
	// gift for
	// Find a gift for Ann.
}
