package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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
	return play(ctx, s, []step{{"test_reconnection", "", says("successfully")}}, nil)
}

// brokenOff calls a tool that closes the stream of its result. The server keeps
// no events, so nobody can have the result, and the client must say that it does
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
		if err := brokenOff(ctx, s); err != nil {
			return err
		}
		ok("go-sdk: protocol version %s", s.Status().ProtocolVersion)
		return nil
	}
}

// goNotPlayed are tools of go-sdk's everything server that need what the client
// does not do yet.
var goNotPlayed = map[string]string{
	"test_sampling":                              "sampling",
	"test_input_required_result_sampling":        "sampling",
	"test_input_required_result_list_roots":      "roots",
	"test_input_required_result_multiple_inputs": "sampling, roots",
	"test_missing_capability":                    "sampling",
	"test_reconnection":                          "not with every transport: brokenOff",
}

// goSDKTools calls the tools of go-sdk's everything server.
func goSDKTools(ctx context.Context, s *mcptool.Server) error {
	isPNG := holds("a picture", 1, func(c *tramontane.ImageContent) bool { return c.MIMEType == "image/png" })
	isText := holds("the resource", 1, func(c *tramontane.ResourceContent) bool {
		return strings.HasPrefix(c.URI, "test://embedded") && c.Text == "This is an embedded resource"
	})
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
		{"test_trigger_prompt_change", "", says("published")},
	}
	if err := play(ctx, s, steps, nil); err != nil {
		return err
	}
	return allPlayed(ctx, s, steps, goNotPlayed)
}
