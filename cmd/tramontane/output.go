package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// The formats of standard output.
const (
	outputText   = "text"
	outputJSON   = "json"
	outputStream = "stream-json"
)

// A runReport is the object that --output json prints, and the "result" of the
// last line of stream-json. Fields are added, never changed: programs read it.
type runReport struct {
	Version        string          `json:"version"` // of this program
	Reason         string          `json:"reason"`
	ExitCode       int             `json:"exit_code"`
	Error          string          `json:"error,omitempty"`
	Text           string          `json:"text"`
	Output         json.RawMessage `json:"output,omitempty"` // with --schema
	ConversationID string          `json:"conversation_id"`
	Entries        mistral.Entries `json:"entries"`
	Usage          mistral.Usage   `json:"usage"`
	Pending        []callReport    `json:"pending,omitempty"`
	Servers        []serverReport  `json:"servers"`

	// Resources are the results of which the model was told only head and tail.
	Resources []resourceReport `json:"resources,omitempty"`
}

type resourceReport struct {
	URI  string `json:"uri"`
	Text string `json:"text"`
}

// An unshownReport names content that the model could not be shown.
type unshownReport struct {
	Type     string `json:"type"`
	MIMEType string `json:"mime_type"`
	URI      string `json:"uri,omitempty"`
	Bytes    int    `json:"bytes"`
}

func newUnshownReports(contents []tramontane.Content) []unshownReport {
	var reports []unshownReport
	for _, c := range contents {
		switch c := c.(type) {
		case *tramontane.ImageContent:
			reports = append(reports, unshownReport{Type: "image", MIMEType: c.MIMEType, Bytes: len(c.Data)})
		case *tramontane.AudioContent:
			reports = append(reports, unshownReport{Type: "audio", MIMEType: c.MIMEType, Bytes: len(c.Data)})
		case *tramontane.ResourceContent:
			reports = append(reports, unshownReport{Type: "resource", MIMEType: c.MIMEType, URI: c.URI, Bytes: len(c.Blob)})
		}
	}
	return reports
}

type callReport struct {
	Key       string          `json:"key"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
}

type serverReport struct {
	Name            string        `json:"name"`
	State           mcptool.State `json:"state"`
	Transport       string        `json:"transport"`
	Command         string        `json:"command,omitempty"` // without arguments, which may hold secrets
	URL             string        `json:"url,omitempty"`     // without a query, for the same reason
	ProtocolVersion string        `json:"protocol_version,omitempty"`
	Tools           []string      `json:"tools"` // as the model knows them
	Error           string        `json:"error,omitempty"`
	ExitCode        *int          `json:"exit_code,omitempty"` // once it has ended
}

type toolReport struct {
	Name        string `json:"name"`
	Server      string `json:"server"`
	Original    string `json:"original"` // its name on the server
	Description string `json:"description"`
	ReadOnly    bool   `json:"read_only"`
}

func newCallReport(c tramontane.Call) callReport {
	return callReport{Key: c.Key, ID: c.ID, Name: c.Name, Arguments: c.Arguments}
}

func newServerReports(servers mcptool.Servers, tools []tramontane.Tool) []serverReport {
	reports := []serverReport{}
	for i, s := range servers.Status() {
		r := serverReport{Name: s.Name, State: s.State, Transport: transportOf(servers[i]), Command: s.Command, URL: s.URL, ProtocolVersion: s.ProtocolVersion, Tools: []string{}}
		switch {
		case errors.Is(s.Err, context.Canceled):
			r.State = mcptool.Closed // given up because another one failed
		case s.Err != nil:
			r.Error = s.Err.Error()
		}
		if s.ExitCode >= 0 {
			r.ExitCode = &s.ExitCode
		}
		for _, tool := range tools {
			if def := tool.Definition(); def.Server == s.Name {
				r.Tools = append(r.Tools, def.Name)
			}
		}
		reports = append(reports, r)
	}
	return reports
}

// transportOf says how a server is spoken to: "stdio", "http", "sse", or "auto"
// if that is still to be found out.
func transportOf(s *mcptool.Server) string {
	if s.URL == "" {
		return "stdio"
	}
	return cmp.Or(string(s.Status().Transport), string(s.Transport), "auto")
}

func newToolReports(tools []tramontane.Tool) []toolReport {
	reports := []toolReport{}
	for _, tool := range tools {
		def := tool.Definition()
		reports = append(reports, toolReport{
			Name: def.Name, Server: def.Server, Original: def.Original, Description: def.Description, ReadOnly: def.ReadOnly,
		})
	}
	return reports
}

// newReport says what came of a run. The result is nil if it never began.
func newReport(result *tramontane.Result, servers []serverReport, err error) *runReport {
	r := &runReport{
		Version:  version(),
		Reason:   reasonOf(err),
		ExitCode: codeOf(err),
		Entries:  mistral.Entries{},
		Servers:  servers,
	}
	if err != nil {
		r.Error = err.Error()
	}
	if result == nil {
		return r
	}
	r.Text, r.Output, r.ConversationID, r.Usage = result.Text, result.Output, result.ConversationID, result.Usage
	r.Entries = append(r.Entries, result.Entries...)
	for _, c := range result.Pending {
		r.Pending = append(r.Pending, newCallReport(c))
	}
	for _, resource := range result.Resources {
		r.Resources = append(r.Resources, resourceReport{URI: resource.URI, Text: resource.Text})
	}
	return r
}

// reasonOf says in a word why a run ended.
func reasonOf(err error) string {
	switch code := codeOf(err); {
	case code == exitDone:
		return string(tramontane.ReasonDone)
	case code == exitLimit && errors.Is(err, errTimeout):
		return "timeout"
	case code == exitLimit:
		return string(tramontane.ReasonMaxTurns)
	case code == exitPending:
		return string(tramontane.ReasonPending)
	case code == exitInterrupt, code == exitTerminated, code == exitHangup:
		return string(tramontane.ReasonCancelled)
	}
	return string(tramontane.ReasonFailed)
}

// A printer writes to standard output in one of the formats.
type printer struct {
	format string
	out    io.Writer
	seq    int // of the next line of stream-json
}

func newPrinter(format string, out io.Writer) (*printer, error) {
	switch format {
	case outputText, outputJSON, outputStream:
		return &printer{format: format, out: out}, nil
	}
	return nil, usageErrorf("--output %q: want %s, %s or %s", format, outputText, outputJSON, outputStream)
}

// end writes the last of the output: all of it, in most formats.
func (p *printer) end(r *runReport) error {
	switch p.format {
	case outputJSON:
		return p.line(r)
	case outputStream:
		return p.line(&endLine{head: p.head("end"), Reason: r.Reason, ExitCode: r.ExitCode, Error: r.Error, Result: r})
	}
	if r.ExitCode != exitDone {
		return nil
	}
	text := []byte(r.Text)
	if r.Output != nil {
		var b bytes.Buffer
		if err := json.Indent(&b, r.Output, "", "  "); err != nil {
			return err
		}
		text = b.Bytes()
	}
	return p.write(append(text, '\n'))
}

// line writes v as one line of JSON, at once.
func (p *printer) line(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	return p.write(b.Bytes())
}

func (p *printer) write(data []byte) error {
	_, err := p.out.Write(data)
	return outputError(err)
}

// outputError says that standard output could not be written. It has its exit
// code, since a broken pipe looks like a broken connection otherwise.
func outputError(err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if errors.Is(err, syscall.EPIPE) {
		return &exitError{exitFailed, fmt.Errorf("standard output: %w: what was to read it has ended", err)}
	}
	return &exitError{exitFailed, fmt.Errorf("standard output: %w", err)}
}
