package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"syscall"

	"github.com/tramontane-dev/tramontane/mistral"
)

// A puppet is a chat-completions endpoint, and a proxy that lets nothing
// through. As a model it does what the user's last message says:
//
//	say TEXT          answers with the text
//	call TOOL JSON    calls the tool, and answers with its result
//	loop TOOL JSON    calls the tool for ever
//	fail CODE         answers with the HTTP status
//	stop              sends SIGTERM to the script's tramontane serve, and answers never
type puppet struct {
	service *service // of the script

	mu  sync.Mutex // guards the field below
	got strings.Builder
}

func (p *puppet) requests() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got.String()
}

func (p *puppet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	fmt.Fprintf(&p.got, "%s %s %s\n%s\n", r.Method, r.RequestURI, r.Header.Get("Authorization"), body)
	p.mu.Unlock()
	if r.Method == http.MethodConnect {
		http.Error(w, "this proxy lets nothing through", http.StatusForbidden)
		return
	}
	var req mistral.ChatRequest
	if err := json.Unmarshal(body, &req); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	m, status := obey(&req)
	if status == http.StatusTeapot {
		if err := p.service.cmd.Process.Signal(syscall.SIGTERM); err == nil {
			<-r.Context().Done()
		}
		return
	}
	if status != http.StatusOK {
		http.Error(w, `{"message":"as you wish"}`, status)
		return
	}
	resp := &mistral.ChatResponse{ID: "c", Object: "chat.completion", Model: req.Model, Choices: []mistral.ChatChoice{{Message: m}}}
	resp.Usage = mistral.ChatUsage{PromptTokens: 3, CompletionTokens: 2, TotalTokens: 5}
	resp.Choices[0].FinishReason = mistral.FinishStop
	if req.Stream != nil && *req.Stream {
		stream(w, resp)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(resp)
}

// obey returns what the user wants to hear.
func obey(req *mistral.ChatRequest) (mistral.AssistantMessage, int) {
	var command, result string
	calls := 0
	for _, m := range req.Messages {
		switch m := m.(type) {
		case *mistral.UserMessage:
			command = m.Content.String()
		case *mistral.ToolMessage:
			calls++
			result = m.Content.String()
		}
	}
	verb, rest, _ := strings.Cut(strings.TrimSpace(command), " ")
	text := rest
	switch {
	case verb == "fail":
		status := 500
		fmt.Sscan(rest, &status)
		return mistral.AssistantMessage{}, status
	case verb == "stop":
		return mistral.AssistantMessage{}, http.StatusTeapot
	case verb == "call" && calls > 0:
		text = result
	case verb == "call", verb == "loop":
		name, arguments, _ := strings.Cut(rest, " ")
		call := mistral.ToolCall{ID: fmt.Sprintf("call%05d", calls+1), Type: "function"}
		call.Function = mistral.ToolCallFunc{Name: name, Arguments: mistral.Arguments{Text: arguments}}
		return mistral.AssistantMessage{ToolCalls: []mistral.ToolCall{call}}, http.StatusOK
	}
	return mistral.AssistantMessage{Content: &mistral.Content{Text: text}}, http.StatusOK
}

// stream sends the response in pieces.
func stream(w http.ResponseWriter, resp *mistral.ChatResponse) {
	w.Header().Set("Content-Type", "text/event-stream")
	send := func(delta mistral.ChatDelta, finish mistral.FinishReason, usage *mistral.ChatUsage) {
		data, _ := json.Marshal(&mistral.ChatChunk{
			ID: resp.ID, Object: "chat.completion.chunk", Model: resp.Model, Usage: usage,
			Choices: []mistral.ChatChunkChoice{{Delta: delta, FinishReason: finish}},
		})
		fmt.Fprintf(w, "data: %s\n\n", data)
	}
	m := resp.Choices[0].Message
	if m.Content != nil {
		for word := range strings.SplitAfterSeq(m.Content.Text, " ") {
			send(mistral.ChatDelta{Content: &mistral.Content{Text: word}}, "", nil)
		}
	}
	if m.ToolCalls != nil {
		send(mistral.ChatDelta{ToolCalls: m.ToolCalls}, "", nil)
	}
	send(mistral.ChatDelta{}, resp.Choices[0].FinishReason, &resp.Usage)
	fmt.Fprint(w, "data: [DONE]\n\n")
}
