package mcptool_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// addResources gives a server three resources, one of them broken, and a
// template.
func addResources(server *mcp.Server) {
	read := func(_ context.Context, req *mcp.ReadResourceRequest) (*mcp.ReadResourceResult, error) {
		switch uri := req.Params.URI; uri {
		case "note:old":
			return nil, &jsonrpc.Error{Code: -32002, Message: "no such note"}
		case "note:picture":
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{{URI: uri, MIMEType: "image/png", Blob: []byte("abc")}}}, nil
		case "note:broken":
			return nil, errors.New("disk on fire")
		default:
			return &mcp.ReadResourceResult{Contents: []*mcp.ResourceContents{
				{URI: uri, MIMEType: "text/plain", Text: "text of " + uri}, {URI: uri + "2", Text: "more"},
			}}, nil
		}
	}
	for _, name := range []string{"first", "picture", "broken"} {
		server.AddResource(&mcp.Resource{URI: "note:" + name, Name: name, Title: "The " + name, MIMEType: "text/plain", Size: 7}, read)
	}
	server.AddResourceTemplate(&mcp.ResourceTemplate{URITemplate: "note:{id}", Name: "notes", Description: "All of them."}, read)
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) (all []T) {
	t.Helper()
	for item, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, item)
	}
	return all
}

func TestResources(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		addResources(server)
		links := collect(t, s.Resources(t.Context())) // two pages
		want := []*tramontane.ResourceLink{
			{URI: "note:broken", Name: "broken", Title: "The broken", MIMEType: "text/plain", Size: 7},
			{URI: "note:first", Name: "first", Title: "The first", MIMEType: "text/plain", Size: 7},
			{URI: "note:picture", Name: "picture", Title: "The picture", MIMEType: "text/plain", Size: 7},
		}
		if diff := cmp.Diff(want, links); diff != "" {
			t.Errorf("resources (-want +got):\n%s", diff)
		}
		for range s.Resources(t.Context()) {
			break
		}
		templates := collect(t, s.ResourceTemplates(t.Context()))
		if diff := cmp.Diff([]*mcptool.ResourceTemplate{{URITemplate: "note:{id}", Name: "notes", Description: "All of them."}}, templates); diff != "" {
			t.Errorf("templates (-want +got):\n%s", diff)
		}
		contents, err := s.ReadResource(t.Context(), "note:42")
		if err != nil {
			t.Fatal(err)
		}
		wantContents := []*tramontane.ResourceContent{{URI: "note:42", MIMEType: "text/plain", Text: "text of note:42"}, {URI: "note:422", Text: "more"}}
		if diff := cmp.Diff(wantContents, contents); diff != "" {
			t.Errorf("contents (-want +got):\n%s", diff)
		}
		if contents, err = s.ReadResource(t.Context(), "note:picture"); err != nil || len(contents) != 1 || string(contents[0].Blob) != "abc" {
			t.Errorf("picture = %+v, %v", contents, err)
		}
		for uri, missing := range map[string]bool{"note:old": true, "other:x": true, "note:broken": false} {
			_, err := s.ReadResource(t.Context(), uri)
			if err == nil || errors.Is(err, mcptool.ErrNotFound) != missing || !strings.Contains(err.Error(), uri) {
				t.Errorf("ReadResource(%s) = %v, missing: %t", uri, err, missing)
			}
		}
	})
}

// What a server does not have, it does not list.
func TestNoResourcesOrPrompts(t *testing.T) {
	s := testServer(t, "lean")
	if links := collect(t, s.Resources(t.Context())); links != nil {
		t.Errorf("resources = %v", links)
	}
	if prompts := collect(t, s.Prompts(t.Context())); prompts != nil {
		t.Errorf("prompts = %v", prompts)
	}
}

func TestResourceTools(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		addResources(server)
		addTool(server, "work", func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) { return said("worked"), nil })
		s.ResourceTools = true
		tools, err := s.Tools(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, tool := range tools {
			names = append(names, tool.Definition().Name)
		}
		if diff := cmp.Diff([]string{"test_work", "test_resources_list", "test_resources_read"}, names); diff != "" {
			t.Fatalf("tools (-want +got):\n%s", diff)
		}
		for _, row := range []struct {
			tool      int
			arguments string
			want      string
		}{
			{0, `{}`, "worked"},
			{1, `{}`, "[resource note:broken, broken, The broken, text/plain]\n[resource note:first, first, The first, text/plain]\n" +
				"[resource note:picture, picture, The picture, text/plain]\nURIs of these forms can be read too:\nnote:{id}: notes. All of them."},
			{2, `{"uri":"note:7"}`, "[resource note:7, text/plain]\ntext of note:7\n[resource note:72]\nmore"},
			{2, `{"uri":"note:picture"}`, "[resource note:picture, image/png, 3 bytes: not shown to the model]"},
		} {
			result, err := tools[row.tool].Call(t.Context(), &tramontane.Call{Arguments: json.RawMessage(row.arguments)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, result.Text()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", names[row.tool], diff)
			}
		}
		if _, err := tools[2].Call(t.Context(), &tramontane.Call{Arguments: json.RawMessage(`{"uri":"x:y"}`)}); !errors.Is(err, mcptool.ErrNotFound) {
			t.Errorf("read of nothing: %v, want ErrNotFound", err)
		}
		if _, err := tools[2].Call(t.Context(), &tramontane.Call{Arguments: json.RawMessage(`{}`)}); err == nil {
			t.Error("read without a URI is no error")
		}
	})
}

func TestPrompts(t *testing.T) {
	eras(t, func(t *testing.T, server *mcp.Server, s *mcptool.Server) {
		for _, name := range []string{"a", "b", "c"} {
			server.AddPrompt(&mcp.Prompt{Name: name, Title: "Prompt " + name, Description: "Asks.", Arguments: []*mcp.PromptArgument{{Name: "city", Title: "City", Description: "where", Required: true}}},
				func(_ context.Context, req *mcp.GetPromptRequest) (*mcp.GetPromptResult, error) {
					city, ok := req.Params.Arguments["city"]
					if !ok {
						return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "city is missing"}
					}
					return &mcp.GetPromptResult{Description: "Filled in.", Messages: []*mcp.PromptMessage{
						{Role: "user", Content: &mcp.TextContent{Text: "Weather in " + city + "?"}},
						{Role: "assistant", Content: &mcp.TextContent{Text: "Let me look."}},
						{Role: "user", Content: &mcp.ImageContent{MIMEType: "image/png", Data: []byte("abc")}},
						{Role: "user", Content: &mcp.AudioContent{MIMEType: "audio/wav", Data: []byte("abc")}},
						{Role: "user", Content: &mcp.EmbeddedResource{Resource: &mcp.ResourceContents{URI: "x:a", MIMEType: "text/plain", Text: "inside"}}},
					}}, nil
				})
		}
		prompts := collect(t, s.Prompts(t.Context()))
		if len(prompts) != 3 {
			t.Fatalf("%d prompts, want 3", len(prompts))
		}
		want := &mcptool.Prompt{Name: "c", Title: "Prompt c", Description: "Asks.", Arguments: []mcptool.PromptArgument{{Name: "city", Title: "City", Description: "where", Required: true}}}
		if diff := cmp.Diff(want, prompts[2]); diff != "" {
			t.Errorf("prompt (-want +got):\n%s", diff)
		}
		prompt, err := s.Prompt(t.Context(), "a", map[string]string{"city": "Oslo"})
		if err != nil {
			t.Fatal(err)
		}
		if prompt.Description != "Filled in." || prompt.Messages[1].Role != "assistant" {
			t.Errorf("prompt = %+v", prompt)
		}
		inputs, err := (mistral.Inputs{Entries: prompt.Inputs()}).AppendJSON(nil)
		if err != nil {
			t.Fatal(err)
		}
		const entry = `{"object":"entry","type":"message.input","role":%q,"content":%s,"prefix":false}`
		var entries []string
		for _, e := range [][2]string{
			{"user", `"Weather in Oslo?"`},
			{"assistant", `"Let me look."`},
			{"user", `[{"type":"image_url","image_url":"data:image/png;base64,YWJj"}]`},
			{"user", `[{"type":"input_audio","input_audio":"YWJj"}]`},
			{"user", `"[resource x:a, text/plain]\ninside"`},
		} {
			entries = append(entries, fmt.Sprintf(entry, e[0], e[1]))
		}
		if diff := cmp.Diff("["+strings.Join(entries, ",")+"]", string(inputs)); diff != "" {
			t.Errorf("inputs (-want +got):\n%s", diff)
		}
		for _, name := range []string{"a", "nothing"} {
			if _, err := s.Prompt(t.Context(), name, nil); !errors.Is(err, mcptool.ErrNotFound) || !strings.Contains(err.Error(), "prompt "+name) {
				t.Errorf("Prompt(%s) = %v, want ErrNotFound", name, err)
			}
		}
	})
}
