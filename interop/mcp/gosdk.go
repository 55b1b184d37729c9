package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// goSDKStdio uses go-sdk's everything server as a local process.
func goSDKStdio(ctx context.Context) error {
	s := &mcptool.Server{Name: "go-sdk", Command: *goServer}
	defer s.Close()
	if err := goSDKTools(ctx, s); err != nil {
		return err
	}
	return reconnects(ctx, s)
}

// reconnects calls a tool that closes the stream of its result where there is a
// stream that could be opened again.
func reconnects(ctx context.Context, s *mcptool.Server) error {
	return play(ctx, s, []step{{"test_reconnection", "", says("successfully")}}, nil)
}

// brokenOff calls the same tool in a session, where the stream is closed. The
// server keeps no events, so nobody can have the result, and the client must say that it does
// not know, call nothing twice, and go on.
func brokenOff(ctx context.Context, s *mcptool.Server) error {
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(tools, func(t tramontane.Tool) bool { return t.Definition().Original == "test_reconnection" })
	if i < 0 {
		return fmt.Errorf("%s offers no test_reconnection", s)
	}
	if _, err := tools[i].Call(ctx, new(tramontane.Call)); !errors.Is(err, tramontane.ErrOutcomeUnknown) {
		return fmt.Errorf("%s: a result that broke off gives %v, not ErrOutcomeUnknown", s, err)
	}
	ok("%s: a result that broke off", s.Name)
	return play(ctx, s, []step{{"test_simple_text", "", says("simple text")}}, nil)
}

// toolsChange has the server offer one more tool, and waits until the client
// offers it too: it is told of the change and asks for the list again.
func toolsChange(ctx context.Context, s *mcptool.Server) error {
	if err := play(ctx, s, []step{{"test_trigger_tool_change", "", says("published")}}, nil); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		names, err := namesOf(ctx, s)
		if err != nil {
			return err
		}
		if names["__transient_tool_for_list_changed"] != "" {
			ok("%s: a tool that came later", s.Name)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: the client does not offer the tool that came later", s)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// goSDK uses go-sdk's everything server over streamable HTTP: the protocol
// 2026-07-28 where the server is stateless, and 2025-11-25 where it is not.
func goSDK(mode string) func(context.Context) error {
	return func(ctx context.Context) error {
		port, err := freePort()
		if err != nil {
			return err
		}
		stop, err := listen(ctx, port, nil, *goServer, "-http=127.0.0.1:"+port, mode)
		if err != nil {
			return err
		}
		defer stop()
		s := &mcptool.Server{Name: "go-sdk", URL: "http://127.0.0.1:" + port}
		defer s.Close()
		if err := goSDKTools(ctx, s); err != nil {
			return err
		}
		version := s.Status().ProtocolVersion
		ok("go-sdk: protocol version %s", version)
		if version >= "2026-07-28" {
			return reconnects(ctx, s)
		}
		return brokenOff(ctx, s)
	}
}

// goNotPlayed are tools of go-sdk's everything server that are not called with the
// others.
var goNotPlayed = map[string]string{
	"test_reconnection":                 "not with every transport: brokenOff",
	"test_trigger_tool_change":          "by toolsChange",
	"__transient_tool_for_list_changed": "there for its coming",
}

// goShelf is what go-sdk's everything server has besides tools.
var goShelf = shelf{
	resources: 3,
	templates: 1,
	texts:     map[string]string{"test://static-text": "static text"},
	missing:   "test://nothing",
	prompts: []asking{
		{"test_simple_prompt", nil, "simple prompt"},
		{"test_prompt_with_arguments", map[string]string{"arg1": "left", "arg2": "right"}, "left"},
		{"test_prompt_with_embedded_resource", map[string]string{"resourceUri": "test://static-text"}, ""},
		{"test_prompt_with_image", nil, "image"},
		{"test_input_required_result_prompt", nil, "Context: blue sky"},
		{"__transient_prompt_for_list_changed", nil, ""},
	},
}

// goSDKTools calls the tools of go-sdk's everything server.
func goSDKTools(ctx context.Context, s *mcptool.Server) error {
	isPNG := holds("a picture", 1, func(c *tramontane.ImageContent) bool { return c.MIMEType == "image/png" })
	isText := holds("the resource", 1, func(c *tramontane.ResourceContent) bool {
		return strings.HasPrefix(c.URI, "test://embedded") && c.Text == "This is an embedded resource"
	})
	who := answers(map[string]any{
		"name": "Ada", "username": "ada", "color": "blue", "ok": true, "context": "blue sky",
	})
	s.Elicit, s.LogLevel = who.elicit, mcptool.LogInfo
	letAsk(s)
	steps := []step{
		{"test_simple_text", "", says("This is a simple text response for testing.")},
		{"test_image_content", "", isPNG},
		{"test_audio_content", "", holds("a sound", 1, func(c *tramontane.AudioContent) bool { return c.MIMEType == "audio/wav" })},
		{"test_embedded_resource", "", isText},
		{"test_multiple_content_types", "", both(both(says("This is text content"), isPNG), isText)},
		{"test_tool_with_logging", "", says("Tool with logging executed successfully")},
		{"test_tool_with_progress", "", says("")},
		{"test_error_handling", "", fails("this tool intentionally returns an error")},
		{"json_schema_2020_12_tool", `{"name":"Ada","contactMethod":"phone","phone":"1815"}`, says("Ada")},
		{"test_x_mcp_header", `{"region":"Île-de-France"}`, says("region=Île-de-France")},
		{"test_streaming_elicitation", "", says("no top-level requests")},
		{"test_logging_tool", "", says("Log attempted")},
		{"test_input_required_result_elicitation", "", says("Hello, Ada!")},
		{"test_input_required_result_request_state", "", says("state-ok")},
		{"test_input_required_result_tampered_state", "", says("state-ok")}, // the client does not tamper
		{"test_input_required_result_multi_round", "", says("Ada likes blue")},
		{"test_input_required_result_capabilities", "", says("fulfilled")},
		{"test_trigger_prompt_change", "", says("published")},
		{"test_input_required_result_sampling", "", says("Sampling response: Asked beside the run.")},
		{"test_input_required_result_list_roots", "", says("1 root(s): file:///interop")},
		{"test_input_required_result_multiple_inputs", "", says("Asked beside the run. Ada — 1 root(s) visible")},
		{"test_missing_capability", "", says("tool executed")},
	}
	// Before 2026-07-28 the server asks in requests of its own.
	asking := []step{
		{"test_sampling", `{"prompt":"How?"}`, says("LLM response: Asked beside the run.")},
		{"test_elicitation", `{"message":"Who?"}`, says("action=accept, content=map[username:ada]")},
		{"test_elicitation_sep1034_defaults", "", says("age:30 name:Ada score:95.5 status:active verified:true")},
		// go-sdk's own client takes the form of this one for malformed.
		{"test_elicitation_sep1330_enums", "", fails("titledMulti")},
	}
	if err := s.Connect(ctx); err != nil {
		return err
	}
	if s.Status().ProtocolVersion < "2026-07-28" {
		steps = append(steps, asking...)
	}
	var n news
	if err := play(ctx, s, steps, n.watch); err != nil {
		return err
	}
	if err := n.heard(s, 100, 4); err != nil {
		return err
	}
	if err := read(ctx, s, goShelf); err != nil {
		return err
	}
	if err := toolsChange(ctx, s); err != nil {
		return err
	}
	if err := subscribes(ctx, s, "test://watched-resource", nil); err != nil {
		return err
	}
	if err := errors.Join(
		completes(ctx, s, mcptool.CompletionRef{Prompt: "test_prompt_with_arguments"}, "arg1", "par", nil, ""),
		noSkills(ctx, s),
	); err != nil {
		return err
	}
	steps = append(steps, asking...)
	return allPlayed(ctx, s, steps, goNotPlayed)
}
