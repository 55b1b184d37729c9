package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// What servers report has lines of its own; they are part of the interface.
func TestReportLines(t *testing.T) {
	var out strings.Builder
	p := &printer{out: &out, format: outputStream}
	call := tramontane.Call{Key: "run/1/a", ID: "a", Name: "files_copy", Arguments: json.RawMessage(`{}`)}
	for _, event := range []tramontane.Event{
		&tramontane.ProgressEvent{Call: call, Progress: 1, Total: 2.5, Message: "half"},
		&tramontane.ProgressEvent{Call: call},
		&tramontane.LogEvent{Server: "files", Level: "info", Logger: "disk", Data: json.RawMessage(`{"free":1}`), Missed: 2},
		&tramontane.ServerEvent{Server: "files", State: "failed", Err: errors.New("it ended")},
		&tramontane.ServerEvent{Server: "files", State: "ready"},
		&tramontane.ToolsChangedEvent{Server: "files"},
		&tramontane.ResultEvent{Call: call, Entry: &mistral.FunctionResult{ToolCallID: "a"}, Whole: "x:1", Unshown: []tramontane.Content{
			&tramontane.ImageContent{MIMEType: "image/png", Data: []byte("abc")},
			&tramontane.AudioContent{MIMEType: "audio/wav"},
			&tramontane.ResourceContent{URI: "x:2", MIMEType: "application/zip", Blob: []byte("ab")},
		}},
	} {
		if err := p.happened(event); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"v":1,"seq":0,"type":"progress","call":{"key":"run/1/a","id":"a","name":"files_copy","arguments":{}},"progress":1,"total":2.5,"message":"half"}
{"v":1,"seq":1,"type":"progress","call":{"key":"run/1/a","id":"a","name":"files_copy","arguments":{}},"progress":0}
{"v":1,"seq":2,"type":"server_log","server":"files","level":"info","logger":"disk","data":{"free":1},"missed":2}
{"v":1,"seq":3,"type":"server","server":"files","state":"failed","error":"it ended"}
{"v":1,"seq":4,"type":"server","server":"files","state":"ready"}
{"v":1,"seq":5,"type":"tools_changed","server":"files"}
{"v":1,"seq":6,"type":"tool_result","call":{"key":"run/1/a","id":"a","name":"files_copy","arguments":{}},"entry":{"object":"entry","type":"function.result","tool_call_id":"a","result":""},"is_error":false,"unshown":[{"type":"image","mime_type":"image/png","bytes":3},{"type":"audio","mime_type":"audio/wav","bytes":0},{"type":"resource","mime_type":"application/zip","uri":"x:2","bytes":2}],"whole":"x:1"}
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}
