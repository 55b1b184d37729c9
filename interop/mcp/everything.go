package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// everythingStdio uses server-everything as a local process.
func everythingStdio(ctx context.Context) error {
	s := fromNPM("everything")
	defer s.Close()
	return everything(ctx, s)
}

// everything uses all that server-everything offers.
func everything(ctx context.Context, s *mcptool.Server) error {
	who := answers(map[string]any{"name": "Ada", "interpretation": "snake", "check": true, "email": "ada@example.com", "untitledMultipleSelectEnum": []string{"Piano", "Drums"}},
		mcptool.ElicitAccept, mcptool.ElicitDecline, mcptool.ElicitCancel)
	s.Elicit = who.elicit
	s.LogLevel = mcptool.LogDebug
	letAsk(s)
	if err := everythingTools(ctx, s); err != nil {
		return err
	}
	if err := subscribes(ctx, s, "demo://resource/dynamic/text/1", []step{
		{"toggle-subscriber-updates", "", says("Started")},
		{"get-sum", `{"a":1,"b":1}`, says("2")}, // time for the change to come
		{"toggle-subscriber-updates", "", says("Stopped")},
	}); err != nil {
		return err
	}
	prompt := mcptool.CompletionRef{Prompt: "completable-prompt"}
	if err := errors.Join(
		completes(ctx, s, prompt, "department", "Sa", nil, "Sales"),
		completes(ctx, s, prompt, "name", "", map[string]string{"department": "Sales"}, "Eve"),
		completes(ctx, s, mcptool.CompletionRef{URITemplate: "demo://resource/dynamic/text/{resourceId}"}, "resourceId", "7", nil, "7"),
		noSkills(ctx, s),
	); err != nil {
		return err
	}
	if err := cancelled(ctx, s, "trigger-long-running-operation", `{"duration":30,"steps":30}`, step{"echo", `{"message":"on"}`, says("on")}); err != nil {
		return err
	}
	if err := read(ctx, s, everythingShelf); err != nil {
		return err
	}
	ok("%s: protocol version %s", s.Name, s.Status().ProtocolVersion)
	if who.questions() != 5 {
		return fmt.Errorf("%s put %d questions, not 5", s, who.questions())
	}
	return nil
}

// everythingHTTP uses server-everything over streamable HTTP.
func everythingHTTP(ctx context.Context) error {
	return everythingAt(ctx, "streamableHttp", "/mcp", mcptool.StreamableHTTP)
}

// everythingSSE uses server-everything over HTTP with SSE.
func everythingSSE(ctx context.Context) error {
	return everythingAt(ctx, "sse", "/sse", mcptool.SSE)
}

// everythingAt uses server-everything over HTTP, the transport found out and
// then told.
func everythingAt(ctx context.Context, mode, path string, transport mcptool.Transport) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	stop, err := listen(ctx, port, []string{"PORT=" + port}, fromNPM("everything").Command, mode)
	if err != nil {
		return err
	}
	defer stop()
	found := &mcptool.Server{Name: "everything", URL: "http://127.0.0.1:" + port + path}
	defer found.Close()
	if err := everything(ctx, found); err != nil {
		return err
	}
	told := &mcptool.Server{Name: "everything", URL: found.URL, Transport: transport, ResourceTools: true}
	defer told.Close()
	return play(ctx, told, []step{
		{"get-sum", `{"a":20,"b":22}`, says("42")},
		{"resources/list", "", says("demo://resource/static/document/features.md")},
		{"resources/read", `{"uri":"demo://resource/dynamic/text/9"}`, says("Resource 9")},
	}, nil)
}

// everythingShelf is what server-everything has besides tools, and what a call
// of a tool puts there.
var everythingShelf = shelf{
	resources: 7,
	templates: 2,
	texts: map[string]string{
		"demo://resource/static/document/features.md": "Everything Server",
		"demo://resource/dynamic/text/3":              "Resource 3",
		"demo://resource/dynamic/blob/4":              "Resource 4",
		"demo://resource/session/hi.gz":               "\x1f\x8b",
	},
	missing: "demo://resource/nowhere",
	prompts: []asking{
		{"simple-prompt", nil, "simple prompt"},
		{"args-prompt", map[string]string{"city": "Lyon", "state": "France"}, "What's weather in Lyon, France?"},
		{"args-prompt", map[string]string{"city": "Lyon"}, "What's weather in Lyon?"},
		{"completable-prompt", map[string]string{"department": "Engineering", "name": "Alice"}, "Alice"},
		{"resource-prompt", map[string]string{"resourceType": "Text", "resourceId": "5"}, "Resource 5"},
	},
}

// notPlayed are tools of server-everything that need what the client does not
// do. These want it to make tasks of the server's questions, which is for clients
// that cannot wait.
var notPlayed = map[string]string{
	"trigger-sampling-request-async":    "tasks of the client",
	"trigger-elicitation-request-async": "tasks of the client",
}

// everythingTools calls the tools of server-everything.
func everythingTools(ctx context.Context, s *mcptool.Server) error {
	isPNG := holds("a picture", 1, func(c *tramontane.ImageContent) bool {
		return c.MIMEType == "image/png" && strings.HasPrefix(string(c.Data), "\x89PNG")
	})
	steps := []step{
		{"echo", `{"message":"Grüße 世界"}`, says("Echo: Grüße 世界")},
		{"echo", `{}`, fails("message")},
		{"get-sum", `{"a":2.5,"b":-7}`, says("-4.5")},
		{"get-annotated-message", `{"messageType":"error","includeImage":true}`, both(says("Error: Operation failed"), isPNG)},
		{"get-annotated-message", `{"messageType":"debug"}`, says("Debug: Cache hit")},
		{"get-env", "", func(r *tramontane.ToolResult) error {
			// A local server gets little of our environment, and no secret.
			text := r.Text()
			if !strings.Contains(text, "PATH") || s.Command != "" && strings.Contains(text, "INTEROP_SECRET") {
				return fmt.Errorf("an environment that is not the minimal one")
			}
			return nil
		}},
		{"get-tiny-image", "", isPNG},
		{"get-resource-links", `{"count":4}`, holds("a link", 4, func(c *tramontane.ResourceLink) bool {
			return strings.HasPrefix(c.URI, "demo://resource/dynamic/") && c.MIMEType != ""
		})},
		{"get-resource-reference", `{"resourceType":"Text","resourceId":7}`, holds("the text", 1, func(c *tramontane.ResourceContent) bool {
			return c.URI == "demo://resource/dynamic/text/7" && strings.Contains(c.Text, "Resource 7")
		})},
		{"get-resource-reference", `{"resourceType":"Blob","resourceId":8}`, holds("the blob", 1, func(c *tramontane.ResourceContent) bool {
			return c.URI == "demo://resource/dynamic/blob/8" && strings.Contains(string(c.Blob), "Resource 8")
		})},
		{"get-structured-content", `{"location":"Chicago"}`, both(says("Light rain"), structured("humidity", 82))},
		{"gzip-file-as-resource", `{"name":"hi.gz","data":"data:text/plain,hello"}`, holds("a link", 1, func(c *tramontane.ResourceLink) bool {
			return c.URI == "demo://resource/session/hi.gz" && c.MIMEType == "application/gzip"
		})},
		{"gzip-file-as-resource", `{"name":"ho.gz","data":"data:text/plain,hello","outputType":"resource"}`,
			holds("the file", 1, func(c *tramontane.ResourceContent) bool { return strings.HasPrefix(string(c.Blob), "\x1f\x8b") })},
		{"trigger-long-running-operation", `{"duration":0.4,"steps":4}`, says("Duration: 0.4 seconds, Steps: 4")},
		// The form's defaults stand for what the person left out.
		{"trigger-elicitation-request", "", both(both(says("Name: Ada"), says("Favorite Integer: 42")), both(says("hero-1"), says(`"Drums"`)))},
		{"trigger-elicitation-request", "", says("declined")},
		{"trigger-elicitation-request", "", says("cancelled")},
		{"trigger-url-elicitation", `{"url":"https://example.com/login"}`, says("completed the URL elicitation")},
		{"toggle-simulated-logging", "", says("Started")},
		{"get-sum", `{"a":1,"b":1}`, says("2")}, // time for the first line of the log to come
		{"toggle-simulated-logging", "", says("Stopped")},
		{"toggle-subscriber-updates", "", says("Started")},
		{"toggle-subscriber-updates", "", says("Stopped")},
		{"get-roots-list", "", says("file:///interop")},
		{"trigger-sampling-request", `{"prompt":"How?","maxTokens":50}`, both(says("Asked beside the run."), says(`"model": "script"`))},
	}
	var n news
	if err := play(ctx, s, steps, n.watch); err != nil {
		return err
	}
	if err := n.heard(s, 4, 1); err != nil {
		return err
	}
	research, err := researches(ctx, s)
	if err != nil {
		return err
	}
	return allPlayed(ctx, s, append(steps, research...), notPlayed)
}
