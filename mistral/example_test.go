package mistral_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/tramontane-dev/tramontane/mistral"
)

// api starts a server that gives one answer, in place of Mistral's. With an
// account, the client of these examples is new(mistral.Client).
func api(status int, contentType, body string) (client *mistral.Client, done func()) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	return &mistral.Client{BaseURL: server.URL, HTTPClient: server.Client()}, server.Close
}

func ExampleClient_Start() {
	client, done := api(200, "application/json", `{"object":"conversation.response","conversation_id":"conv_1",
		"outputs":[{"object":"entry","type":"message.output","id":"msg_1","role":"assistant","content":"The Tramontane."}],
		"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}}`)
	defer done()

	reply, err := client.Start(context.Background(), &mistral.ConversationRequest{
		Model:  "mistral-medium-latest",
		Inputs: mistral.Inputs{Text: "Which wind blows beside the Mistral?"},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range reply.Outputs {
		if message, ok := entry.(*mistral.MessageOutput); ok {
			fmt.Println(message.Content)
		}
	}
	fmt.Println(reply.Usage.TotalTokens, "tokens")
	// Output:
	// The Tramontane.
	// 17 tokens
}

func ExampleClient_StreamStart() {
	client, done := api(200, "text/event-stream", `event: conversation.response.started
data: {"type":"conversation.response.started","conversation_id":"conv_1"}

event: message.output.delta
data: {"type":"message.output.delta","id":"msg_1","content":"The "}

event: message.output.delta
data: {"type":"message.output.delta","id":"msg_1","content":"Tramontane."}

event: conversation.response.done
data: {"type":"conversation.response.done","usage":{"total_tokens":17}}

`)
	defer done()

	for event, err := range client.StreamStart(context.Background(), &mistral.ConversationRequest{
		Model:  "mistral-medium-latest",
		Inputs: mistral.Inputs{Text: "Which wind blows beside the Mistral?"},
	}) {
		if err != nil {
			log.Fatal(err)
		}
		switch event := event.(type) {
		case *mistral.MessageOutputDelta:
			fmt.Print(event.Content.Text)
		case *mistral.ResponseError:
			log.Fatal(event.Message)
		}
	}
	// Output: The Tramontane.
}

// A call of a function is answered by appending its result.
func ExampleClient_Append() {
	client, done := api(200, "application/json", `{"object":"conversation.response","conversation_id":"conv_1",
		"outputs":[{"object":"entry","type":"message.output","role":"assistant","content":"18 degrees."}],"usage":{}}`)
	defer done()

	call := &mistral.FunctionCall{ToolCallID: "WJfo42Ow3", Name: "get_weather", Arguments: mistral.Arguments{Text: `{"city":"Perpignan"}`}}
	reply, err := client.Append(context.Background(), "conv_1", &mistral.AppendRequest{
		Inputs: mistral.Inputs{Entries: mistral.Entries{
			&mistral.FunctionResult{ToolCallID: call.ToolCallID, Result: `{"temperature":18}`},
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.Outputs[0].(*mistral.MessageOutput).Content)
	// Output: 18 degrees.
}

func ExampleClient_Restart() {
	client, done := api(200, "application/json", `{"object":"conversation.response","conversation_id":"conv_2","outputs":[],"usage":{}}`)
	defer done()

	reply, err := client.Restart(context.Background(), "conv_1", &mistral.RestartRequest{
		FromEntryID: "msg_1",
		Inputs:      mistral.Inputs{Text: "And in summer?"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.ConversationID)
	// Output: conv_2
}

func ExampleClient_History() {
	client, done := api(200, "application/json", `{"object":"conversation.history","conversation_id":"conv_1","entries":[
		{"object":"entry","type":"message.input","role":"user","content":"hello"},
		{"object":"entry","type":"function.call","tool_call_id":"a","name":"f","arguments":"{}"},
		{"object":"entry","type":"entry.of.tomorrow","n":1}]}`)
	defer done()

	history, err := client.History(context.Background(), "conv_1")
	if err != nil {
		log.Fatal(err)
	}
	for _, entry := range history.Entries {
		switch entry := entry.(type) {
		case *mistral.MessageInput:
			fmt.Println(entry.Role, "says", entry.Content)
		case *mistral.FunctionCall:
			fmt.Println("call of", entry.Name)
		case *mistral.UnknownEntry:
			fmt.Println("something new:", string(entry.Raw))
		}
	}
	// Output:
	// user says hello
	// call of f
	// something new: {"object":"entry","type":"entry.of.tomorrow","n":1}
}

func ExampleClient_CreateAgent() {
	client, done := api(200, "application/json", agentJSON)
	defer done()

	agent, err := client.CreateAgent(context.Background(), &mistral.AgentRequest{
		Model:        "mistral-medium-latest",
		Name:         "weather agent",
		Instructions: "Answer questions about the weather.",
		Tools:        mistral.Tools{&mistral.WebSearchTool{}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(agent.ID, "version", agent.Version)
	// Output: ag_1 version 0
}

func ExampleClient_Models() {
	client, done := api(200, "application/json", `{"object":"list","data":[
		{"id":"mistral-medium-latest","capabilities":{"function_calling":true}},
		{"id":"mistral-embed","capabilities":{}}]}`)
	defer done()

	models, err := client.Models(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, model := range models {
		if model.Capabilities.FunctionCalling {
			fmt.Println(model.ID)
		}
	}
	// Output: mistral-medium-latest
}

func ExampleClient_Chat() {
	client, done := api(200, "application/json", `{"id":"c","object":"chat.completion","model":"m","created":1,"usage":{},
		"choices":[{"index":0,"message":{"role":"assistant","content":"Hello."},"finish_reason":"stop"}]}`)
	defer done()

	answer, err := client.Chat(context.Background(), &mistral.ChatRequest{
		Model:    "mistral-small-latest",
		Messages: mistral.ChatMessages{&mistral.UserMessage{Content: mistral.Content{Text: "Say hello."}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Choices[0].Message.Content)
	// Output: Hello.
}

func ExampleClient_StreamChat() {
	client, done := api(200, "text/event-stream", `data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]}

data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"lo."},"finish_reason":"stop"}]}

data: [DONE]

`)
	defer done()

	for chunk, err := range client.StreamChat(context.Background(), &mistral.ChatRequest{
		Model:    "mistral-small-latest",
		Messages: mistral.ChatMessages{&mistral.UserMessage{Content: mistral.Content{Text: "Say hello."}}},
	}) {
		if err != nil {
			log.Fatal(err)
		}
		for _, choice := range chunk.Choices {
			fmt.Print(choice.Delta.Content)
		}
	}
	// Output: Hello.
}

func ExampleError() {
	client, done := api(400, "application/json", `{"object":"Error","message":"Not the same number of function calls and responses","type":"invalid_request_error","code":3230}`)
	defer done()

	_, err := client.Append(context.Background(), "conv_1", &mistral.AppendRequest{Inputs: mistral.Inputs{Text: "Well?"}})
	var apiErr *mistral.Error
	if errors.As(err, &apiErr) && apiErr.Code == "3230" {
		fmt.Println("a call has no result yet")
	}
	fmt.Println(err)
	// Output:
	// a call has no result yet
	// mistral: POST /v1/conversations/conv_1: 400 Bad Request: Not the same number of function calls and responses (code 3230)
}

// What became of a request without an answer is found in the history.
func ExampleUncertain() {
	client, done := api(504, "text/html", `<html><head><title>504 Gateway Time-out</title></head></html>`)
	defer done()

	_, err := client.Append(context.Background(), "conv_1", &mistral.AppendRequest{Inputs: mistral.Inputs{Text: "Well?"}})
	if mistral.Uncertain(err) {
		fmt.Println("read the history before sending anything again")
	}
	// Output: read the history before sending anything again
}

func ExampleKey() {
	client := &mistral.Client{APIKey: "sk-0123456789abcdef"}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	logger.Info("ready", "key", client.APIKey)
	fmt.Println(client.APIKey)
	// Output:
	// level=INFO msg=ready key=[redacted]
	// [redacted]
}
