package model

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/tramontane-dev/tramontane/internal/wire"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A Dialect is the variant of the chat-completions protocol that an endpoint
// speaks.
//
// Requests are written in Mistral's. Mistral refuses what it does not know, so
// it gets them as they are. For the others:
//
//	request                     sent as
//	stream                      + stream_options {"include_usage": true}
//	random_seed                 seed
//	tool_choice "any"           "required"
//	tool_choice "none"          neither tools nor tool_choice: Ollama reads no tool_choice
//	metadata                    left out: a label of the caller's
//	prefix                      left out, + continue_final_message (vLLM; the others go on by themselves)
//	content in text chunks      one text: not every chat template takes a list
//	no content, but calls       "": not every chat template takes null
//	image_url as a string       {"url": ...}
//	thinking, references        left out: the others refuse them
//	documents, files, audio     refused by name
//	guardrails, safe_prompt,    refused by name: they would not do what they promise
//	prompt_mode
//
// For all of them alike:
//
//	tool call ids               nine letters and digits, as Mistral's models demand wherever they run
//	arguments as an object      a string that holds it
//	malformed arguments         "{}": Ollama, vLLM and llama.cpp refuse the whole history for them
type Dialect string

// The dialects.
const (
	// DialectMistral is that of Mistral's own API.
	DialectMistral Dialect = "mistral"

	// DialectOpenAI is that of vLLM, Ollama, llama.cpp and OpenAI.
	DialectOpenAI Dialect = "openai"
)

// dialectOf returns the dialect of the endpoint whose address is base.
func dialectOf(base *url.URL) Dialect {
	if host := strings.ToLower(base.Hostname()); host == "mistral.ai" || strings.HasSuffix(host, ".mistral.ai") {
		return DialectMistral
	}
	return DialectOpenAI
}

// request returns req as d has it. It does not change req.
func (d Dialect) request(req *mistral.ChatRequest, stream bool) (*mistral.ChatRequest, error) {
	out := *req
	out.Messages = make(mistral.ChatMessages, len(req.Messages))
	for i, m := range req.Messages {
		var err error
		if out.Messages[i], err = d.message(m); err != nil {
			return nil, refusal(fmt.Errorf("message %d: %w", i+1, err))
		}
	}
	if d == DialectMistral {
		return &out, nil
	}
	if err := unsupported(req); err != nil {
		return nil, refusal(err)
	}

	extra := members{}
	for _, name := range req.Extra.Names() {
		extra.add(name, string(req.Extra.Value(name)))
	}
	if stream {
		extra.add("stream_options", `{"include_usage":true}`)
	}
	if req.RandomSeed != nil {
		extra.add("seed", strconv.Itoa(*req.RandomSeed))
		out.RandomSeed = nil
	}
	if prefixed(req.Messages) {
		extra.add("continue_final_message", "true")
		extra.add("add_generation_prompt", "false")
	}
	out.Metadata = nil
	switch {
	case len(req.Tools) == 0:
		out.Tools, out.ToolChoice = nil, nil
	case req.ToolChoice == nil || req.ToolChoice.Function != "":
	case req.ToolChoice.Mode == mistral.ToolChoiceNone:
		out.Tools, out.ToolChoice, out.ParallelToolCalls = nil, nil, nil
	case req.ToolChoice.Mode == mistral.ToolChoiceAny:
		out.ToolChoice = &mistral.ChatToolChoice{Mode: mistral.ToolChoiceRequired}
	}
	var err error
	out.Extra, err = extra.extra()
	return &out, err
}

// unsupported names what of req only Mistral can do.
func unsupported(req *mistral.ChatRequest) error {
	for name, set := range map[string]bool{
		"guardrails":  len(req.Guardrails) > 0,
		"safe_prompt": req.SafePrompt,
		"prompt_mode": req.PromptMode != "",
	} {
		if set {
			return fmt.Errorf("%s works only with Mistral's own API; leave it out or use a Mistral endpoint", name)
		}
	}
	return nil
}

// refusal returns the error for a request that is the caller's to change.
func refusal(err error) error {
	return &mistral.Error{StatusCode: http.StatusBadRequest, Type: "invalid_request_error", Message: err.Error()}
}

// prefixed says whether the answer is to go on from the last message.
func prefixed(ms mistral.ChatMessages) bool {
	if len(ms) == 0 {
		return false
	}
	m, ok := ms[len(ms)-1].(*mistral.AssistantMessage)
	return ok && m.Prefix
}

func (d Dialect) message(m mistral.ChatMessage) (mistral.ChatMessage, error) {
	switch m := m.(type) {
	case *mistral.AssistantMessage:
		return d.assistant(m), nil
	case *mistral.ToolMessage:
		out := *m
		out.ToolCallID = shortID(m.ToolCallID)
		if d != DialectMistral {
			out.Content = mistral.Content{Text: m.Content.String()}
		}
		return &out, nil
	case *mistral.UserMessage:
		if d == DialectMistral {
			return m, nil
		}
		out := *m
		var err error
		out.Content, err = userContent(m.Content)
		return &out, err
	case *mistral.SystemMessage:
		if d == DialectMistral {
			return m, nil
		}
		out := *m
		out.Content = mistral.Content{Text: m.Content.String()}
		return &out, nil
	}
	return m, nil
}

func (d Dialect) assistant(m *mistral.AssistantMessage) *mistral.AssistantMessage {
	out := *m
	if len(m.ToolCalls) > 0 {
		out.ToolCalls = make([]mistral.ToolCall, len(m.ToolCalls))
	}
	for i, call := range m.ToolCalls {
		call.ID = shortID(call.ID)
		call.Type = "function"
		call.Index = 0
		call.Function.Arguments = mistral.Arguments{Text: objectOrEmpty(call.Function.Arguments.Text)}
		out.ToolCalls[i] = call
	}
	if d == DialectMistral {
		return &out
	}
	var text string
	if m.Content != nil {
		text = m.Content.String()
	}
	out.Content = &mistral.Content{Text: text}
	out.Prefix = false
	return &out
}

// userContent returns what a user says without the chunks that only Mistral
// reads.
func userContent(c mistral.Content) (mistral.Content, error) {
	text := true
	for _, chunk := range c.Chunks {
		_, ok := chunk.(*mistral.TextChunk)
		text = text && ok
	}
	if text {
		return mistral.Content{Text: c.String()}, nil
	}
	out := mistral.Content{Chunks: mistral.Chunks{}}
	for _, chunk := range c.Chunks {
		switch chunk := chunk.(type) {
		case *mistral.TextChunk:
			out.Chunks = append(out.Chunks, chunk)
		case *mistral.ImageURLChunk:
			image := *chunk
			if image.ImageURL.Detail == "" {
				// With a detail the wire has an object, which the others
				// demand; "auto" is what they take for none.
				image.ImageURL.Detail = "auto"
			}
			out.Chunks = append(out.Chunks, &image)
		case *mistral.ThinkChunk, *mistral.ToolReferenceChunk, *mistral.ReferenceChunk:
		default:
			return mistral.Content{}, fmt.Errorf("content of type %s goes only to Mistral's own API; send it as text", chunkType(chunk))
		}
	}
	return out, nil
}

func chunkType(c mistral.Chunk) string {
	raw, err := json.Marshal(c)
	var head struct {
		Type string `json:"type"`
	}
	if err != nil || json.Unmarshal(raw, &head) != nil || head.Type == "" {
		return "unknown"
	}
	return head.Type
}

// objectOrEmpty returns text if it holds a JSON object, and an empty one
// otherwise. What was wrong with the arguments is in the result of the call.
func objectOrEmpty(text string) string {
	if strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{") && json.Valid([]byte(text)) {
		return text
	}
	return "{}"
}

const idLength = 9

// isShortID says whether id is one that every model takes.
func isShortID(id string) bool {
	if len(id) != idLength {
		return false
	}
	return strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// shortID returns id if every model takes it, and otherwise one made from it,
// so that a call and its result still belong together. An empty id stays.
func shortID(id string) string {
	if id == "" || isShortID(id) {
		return id
	}
	return digest(id)
}

// digest returns an id that is made from text.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return new(big.Int).SetBytes(sum[:]).Text(62)[:idLength]
}

// members are members of a JSON object without a field in ChatRequest.
type members []byte

func (m *members) add(name, value string) {
	if len(*m) > 0 {
		*m = append(*m, ',')
	}
	*m = wire.AppendString(*m, name)
	*m = append(append(*m, ':'), value...)
}

// extra returns the members as a request carries them. The way through JSON is
// the only one, because Extra is a promise about what came from the wire.
func (m members) extra() (mistral.Extra, error) {
	if len(m) == 0 {
		return mistral.Extra{}, nil
	}
	var carrier mistral.ChatRequest
	err := carrier.UnmarshalJSON([]byte("{" + string(m) + "}"))
	return carrier.Extra, err
}
