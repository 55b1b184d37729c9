package model_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/model"
)

var (
	_ server.Model = (*model.Chat)(nil)
	_ server.Model = (*model.Scripted)(nil)
)

const streamType = "text/event-stream"

func TestChatErrors(t *testing.T) {
	const key = "a-very-secret-key"
	tests := []struct {
		name       string
		reply      reply
		plain      string // part of the error of Complete
		stream     string // of Stream; if empty, the same
		wantStatus int    // of the *mistral.Error; 0 if it is none
	}{{
		name:  "no choices",
		reply: reply{200, "application/json", `{"id":"x","object":"chat.completion","choices":[]}`},
		plain: "the answer has no choices", stream: "want a stream",
	}, {
		name:  "a page",
		reply: reply{200, "text/html", "<html><title>Open WebUI</title></html>"},
		plain: `answer of type "text/html"`, stream: "is this the URL of a chat-completions API?",
	}, {
		name:  "no such path",
		reply: reply{404, "text/plain", "page not found"},
		plain: "404 Not Found: page not found; does it have this model, and is the URL right?", wantStatus: 404,
	}, {
		name:  "Ollama without the model",
		reply: reply{404, "application/json", `{"error":{"message":"model \"qwen3\" not found, try pulling it first","type":"api_error","param":null,"code":null}}`},
		plain: `model "qwen3" not found, try pulling it first`, wantStatus: 404,
	}, {
		name:  "vLLM without tools",
		reply: reply{400, "application/json", `{"object":"error","message":"\"auto\" tool choice requires --enable-auto-tool-choice","type":"BadRequestError","param":null,"code":400}`},
		plain: `"auto" tool choice requires --enable-auto-tool-choice`, wantStatus: 400,
	}, {
		name:  "llama.cpp with too small a context",
		reply: reply{400, "application/json", `{"error":{"code":400,"message":"request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error"}}`},
		plain: "exceeds the available context size", wantStatus: 400,
	}, {
		name:  "a wrong key",
		reply: reply{401, "application/json", `{"message":"Unauthorized: ` + key + `"}`},
		plain: "is its key right?", wantStatus: 401,
	}, {
		name:  "busy",
		reply: reply{429, "application/json", `{"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","code":"1300"}`},
		plain: "Requests rate limit exceeded", wantStatus: 429,
	}, {
		name:  "an error with status 200",
		reply: reply{200, "application/json", `{"error":{"code":500,"message":"out of memory, ` + key + `"}}`},
		plain: "out of memory", stream: "want a stream",
	}, {
		name:  "a call without a function",
		reply: reply{200, "application/json", `{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"arguments":"{}"}}]}}]}`},
		plain: "call 1 of the answer names no function", stream: "want a stream",
	}, {
		name: "an error in the stream",
		reply: reply{200, streamType, `data: {"choices":[{"index":0,"delta":{"content":"Par"},"finish_reason":null}]}

data: {"error":{"code":500,"message":"Context size has been exceeded. ` + key + `","type":"server_error"}}

`},
		plain: "answer of type", stream: "Context size has been exceeded.", wantStatus: 500,
	}, {
		name: "a cut stream",
		reply: reply{200, streamType, `data: {"choices":[{"index":0,"delta":{"content":"Par"},"finish_reason":null}]}

`},
		plain: "answer of type", stream: "unexpected EOF",
	}, {
		name: "an end without an answer",
		reply: reply{200, streamType, `data: {"choices":[{"index":0,"delta":{"content":"Par"},"finish_reason":null}]}

data: [DONE]

`},
		plain: "answer of type", stream: "the stream ended before the answer did",
	}, {
		name: "a streamed call without a function",
		reply: reply{200, streamType, `data: {"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{}"}}]},"finish_reason":"stop"}]}

data: [DONE]

`},
		plain: "answer of type", stream: "call 1 of the answer names no function",
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, _ := chatTo(t, test.reply)
			c.Key = key
			_, plain := c.Complete(t.Context(), ask("?"))
			_, stream := fromStream(t, c.Stream(t.Context(), ask("?")))
			if test.stream == "" {
				test.stream = test.plain
			}
			for name, got := range map[string]struct {
				err  error
				want string
			}{"Complete": {plain, test.plain}, "Stream": {stream, test.stream}} {
				if got.err == nil {
					t.Errorf("%s returned no error, want one with %q", name, got.want)
					continue
				}
				text := got.err.Error()
				if !strings.Contains(text, got.want) || !strings.Contains(text, "model at "+c.BaseURL+": ") {
					t.Errorf("%s returned %q, want %q and the endpoint", name, text, got.want)
				}
				if strings.Contains(text, key) {
					t.Errorf("%s returned %q, which holds the key", name, text)
				}
			}
			if got := statusOf(stream); got != test.wantStatus {
				t.Errorf("Stream returned an error with status %d, want %d", got, test.wantStatus)
			}
		})
	}
}

func statusOf(err error) int {
	if e := new(mistral.Error); errors.As(err, &e) {
		return e.StatusCode
	}
	return 0
}

func TestChatServerIsDown(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	c := &model.Chat{BaseURL: "http://user:password@" + l.Addr().String() + "/v1"}
	_, err = c.Complete(t.Context(), ask("?"))
	want := "model at http://" + l.Addr().String() + "/v1: dial tcp " + l.Addr().String() + ": connect: connection refused; is the model server running?"
	if err == nil || err.Error() != want {
		t.Errorf("Complete returned %v, want %s", err, want)
	}
}

func TestChatWithoutAddress(t *testing.T) {
	for _, base := range []string{"", "localhost:11434", "ftp://localhost"} {
		c := &model.Chat{BaseURL: base}
		if _, err := c.Complete(t.Context(), ask("?")); err == nil || !strings.Contains(err.Error(), "BaseURL") {
			t.Errorf("Complete with BaseURL %q returned %v, want an error that names the field", base, err)
		}
	}
}

// A server must not ask itself: the address in the environment is that of the
// API that it serves.
func TestChatLeavesTheEnvironmentAlone(t *testing.T) {
	t.Setenv("MISTRAL_BASE_URL", "http://127.0.0.1:1")
	t.Setenv("MISTRAL_API_KEY", "key of the environment")
	c, got := chatTo(t, reply{200, "application/json", `{"choices":[{"message":{"content":"Hello."},"finish_reason":"stop"}]}`})
	if _, err := c.Complete(t.Context(), ask("?")); err != nil {
		t.Fatal(err)
	}
	if got.auth != "" {
		t.Errorf("Authorization is %q, want none", got.auth)
	}
	c.Key = "key of the model"
	if _, err := c.Complete(t.Context(), ask("?")); err != nil {
		t.Fatal(err)
	}
	if want := "Bearer key of the model"; got.auth != want {
		t.Errorf("Authorization is %q, want %q", got.auth, want)
	}
}

func TestChatPath(t *testing.T) {
	c, got := chatTo(t, reply{200, "application/json", `{"choices":[{"message":{"content":"Hello."},"finish_reason":"stop"}]}`})
	host := strings.TrimSuffix(c.BaseURL, "/v1")
	for base, want := range map[string]string{
		host:                    "/v1/chat/completions",
		host + "/":              "/v1/chat/completions",
		host + "/v1":            "/v1/chat/completions",
		host + "/api/v1/":       "/api/v1/chat/completions",
		host + "/v1beta/openai": "/v1beta/openai/chat/completions",
	} {
		c.BaseURL = base
		if _, err := c.Complete(t.Context(), ask("?")); err != nil {
			t.Fatal(err)
		}
		if got.path != want {
			t.Errorf("base %s was asked at %s, want %s", base, got.path, want)
		}
	}
}

// Whoever stops listening, or is stopped, lets go of the connection.
func TestChatStreamStops(t *testing.T) {
	gone := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", streamType)
		io.WriteString(w, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Par\"},\"finish_reason\":null}]}\n\n")
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		gone <- struct{}{}
	}))
	defer srv.Close()
	c := &model.Chat{BaseURL: srv.URL, HTTPClient: srv.Client()}

	for range c.Stream(t.Context(), ask("?")) {
		break
	}
	<-gone

	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	enough := errors.New("enough")
	var last error
	for _, err := range c.Stream(ctx, ask("?")) {
		cancel(enough)
		last = err
	}
	if !errors.Is(last, enough) {
		t.Errorf("Stream ended with %v, want %v", last, enough)
	}
	<-gone

	ctx, stop := context.WithTimeout(t.Context(), time.Millisecond)
	defer stop()
	<-ctx.Done()
	if _, err := c.Complete(ctx, ask("?")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Complete returned %v, want %v", err, context.DeadlineExceeded)
	}
}
