package main

import (
	"context"
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
	return everythingTools(ctx, s)
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
	told := &mcptool.Server{Name: "everything", URL: found.URL, Transport: transport}
	defer told.Close()
	return play(ctx, told, []step{{"get-sum", `{"a":20,"b":22}`, says("42")}}, nil)
}

// notPlayed are tools of server-everything that need what the client does not
// do yet.
var notPlayed = map[string]string{
	"get-roots-list":                    "roots",
	"trigger-sampling-request":          "sampling",
	"trigger-sampling-request-async":    "sampling, tasks",
	"trigger-elicitation-request-async": "tasks",
	"simulate-research-query":           "tasks",
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
		{"toggle-simulated-logging", "", says("Started")},
		{"get-sum", `{"a":1,"b":1}`, says("2")}, // time for the first line of the log to come
		{"toggle-simulated-logging", "", says("Stopped")},
		{"toggle-subscriber-updates", "", says("Started")},
		{"toggle-subscriber-updates", "", says("Stopped")},
	}
	progress, logs := 0, 0
	watch := func(event tramontane.Event) {
		switch e := event.(type) {
		case *tramontane.ProgressEvent:
			if e.Total == 4 {
				progress++
			}
		case *tramontane.LogEvent:
			logs++
		}
	}
	if err := play(ctx, s, steps, watch); err != nil {
		return err
	}
	ok("%s: %d events of progress, %d of its log", s.Name, progress, logs)
	return allPlayed(ctx, s, steps, notPlayed)
}
