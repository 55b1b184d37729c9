package mcptool

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// A Prompt is a text that a server has ready, for a person to choose.
type Prompt struct {
	Name        string
	Title       string // for people; if zero, Name is as good
	Description string
	Arguments   []PromptArgument
}

// A PromptArgument is what a [Prompt] is filled in with.
type PromptArgument struct {
	Name        string
	Title       string // for people; if zero, Name is as good
	Description string
	Required    bool
}

// A PromptResult is a [Prompt] that was filled in.
type PromptResult struct {
	Description string
	Messages    []PromptMessage
}

// A PromptMessage is one message of a [PromptResult].
type PromptMessage struct {
	Role    string // user or assistant
	Content tramontane.Content
}

// Prompts returns the prompts of the server, reaching it first where that is
// needed: page by page, as the sequence is ranged over. A server without prompts
// has an empty sequence. To range over it again is to ask again.
func (s *Server) Prompts(ctx context.Context) iter.Seq2[*Prompt, error] {
	key := func(p *Prompt) string { return p.Name }
	return pages(ctx, s, "list prompts", key, func(ctx context.Context, sess *session, cursor string) ([]*Prompt, string, error) {
		if caps := sess.InitializeResult().Capabilities; caps != nil && caps.Prompts == nil {
			return nil, "", nil
		}
		res, err := sess.ListPrompts(ctx, &mcp.ListPromptsParams{Cursor: cursor})
		if err != nil {
			return nil, "", err
		}
		var prompts []*Prompt
		for _, p := range res.Prompts {
			prompt := &Prompt{Name: p.Name, Title: p.Title, Description: p.Description}
			for _, a := range p.Arguments {
				prompt.Arguments = append(prompt.Arguments, PromptArgument{
					Name: a.Name, Title: a.Title, Description: a.Description, Required: a.Required,
				})
			}
			prompts = append(prompts, prompt)
		}
		return prompts, res.NextCursor, nil
	})
}

// Prompt fills in a prompt. Args may be nil. The error wraps [ErrNotFound] if
// there is no such prompt; servers give the same answer to arguments that they
// do not want.
func (s *Server) Prompt(ctx context.Context, name string, args map[string]string) (*PromptResult, error) {
	res, err := ask(ctx, s, "prompt "+name, func(ctx context.Context, sess *session) (*mcp.GetPromptResult, error) {
		return sess.GetPrompt(ctx, &mcp.GetPromptParams{Name: name, Arguments: args})
	})
	if err != nil {
		return nil, notFound(err)
	}
	prompt := &PromptResult{Description: res.Description}
	for _, m := range res.Messages {
		raw, err := json.Marshal(m.Content)
		if err != nil {
			return nil, fmt.Errorf("%s: prompt %s: %w", s, name, err)
		}
		var c content
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, fmt.Errorf("%s: prompt %s: %w", s, name, err)
		}
		prompt.Messages = append(prompt.Messages, PromptMessage{Role: string(m.Role), Content: c.Content})
	}
	return prompt, nil
}

// Inputs returns the messages as the input of a run. Images and sound stay what
// they are; of other content there is the text, as of the result of a tool.
func (r *PromptResult) Inputs() []mistral.Entry {
	entries := make([]mistral.Entry, len(r.Messages))
	for i, m := range r.Messages {
		role := mistral.RoleUser
		if m.Role == mistral.RoleAssistant {
			role = mistral.RoleAssistant
		}
		entries[i] = &mistral.MessageInput{Role: role, Content: inputContent(m.Content)}
	}
	return entries
}

func inputContent(c tramontane.Content) mistral.Content {
	switch c := c.(type) {
	case *tramontane.ImageContent:
		url := "data:" + c.MIMEType + ";base64," + base64.StdEncoding.EncodeToString(c.Data)
		return mistral.Content{Chunks: mistral.Chunks{&mistral.ImageURLChunk{ImageURL: mistral.ImageURL{URL: url}}}}
	case *tramontane.AudioContent:
		return mistral.Content{Chunks: mistral.Chunks{&mistral.AudioChunk{InputAudio: base64.StdEncoding.EncodeToString(c.Data)}}}
	}
	result := tramontane.ToolResult{Content: []tramontane.Content{c}}
	return mistral.Content{Text: result.Text()}
}
