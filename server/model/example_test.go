package model_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server/model"
)

func ExampleChat() {
	// It stands for Ollama, which would be at http://127.0.0.1:11434/v1.
	ollama := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"id":"chatcmpl-1","object":"chat.completion","model":"qwen3","choices":[{"index":0,
			"message":{"role":"assistant","content":"It is 21 °C in Paris."},"finish_reason":"stop"}]}`)
	}))
	defer ollama.Close()

	m := &model.Chat{BaseURL: ollama.URL + "/v1", HTTPClient: ollama.Client()}
	resp, err := m.Complete(context.Background(), &mistral.ChatRequest{
		Model:    "qwen3",
		Messages: mistral.ChatMessages{&mistral.UserMessage{Content: mistral.Content{Text: "What is the weather in Paris?"}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(resp.Choices[0].Message.Content)
	// Output: It is 21 °C in Paris.
}

func ExampleLoadScripted() {
	dir, err := os.MkdirTemp("", "scripted")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "replies.jsonl")
	err = os.WriteFile(path, []byte(`
{"when": "weather", "tool_calls": [{"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]}
{"when": "weather", "expect": {"last_role": "tool"}, "content": "It is 21 °C in Paris."}
`), 0o600)
	if err != nil {
		log.Fatal(err)
	}

	m, err := model.LoadScripted(path)
	if err != nil {
		log.Fatal(err)
	}
	messages := mistral.ChatMessages{&mistral.UserMessage{Content: mistral.Content{Text: "What is the weather?"}}}
	for chunk, err := range m.Stream(context.Background(), &mistral.ChatRequest{Messages: messages}) {
		if err != nil {
			log.Fatal(err)
		}
		for _, call := range chunk.Choices[0].Delta.ToolCalls {
			fmt.Printf("%d %s %q\n", call.Index, call.Function.Name, call.Function.Arguments.Text)
		}
	}
	// Output:
	// 0 get_weather "{\"city"
	// 0  "\": \"Pa"
	// 0  "ris\"}"
}
