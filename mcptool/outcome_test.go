package mcptool_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptool"
	"github.com/tramontane-dev/tramontane/mistral"
)

// An error says whether the call may have had its effect.
func TestOutcome(t *testing.T) {
	t.Parallel()
	canceled := func(t *testing.T, s *mcptool.Server, tools map[string]tool) error {
		file := filepath.Join(t.TempDir(), "log")
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			eventuallyExists(file)
		}()
		_, err := tools["hang"].call(ctx, file)
		return err
	}
	plain := func(name string) func(*testing.T, *mcptool.Server, map[string]tool) error {
		return func(t *testing.T, _ *mcptool.Server, tools map[string]tool) error {
			_, err := tools[name].call(t.Context(), "")
			return err
		}
	}
	tests := []struct {
		name    string
		server  string
		call    func(*testing.T, *mcptool.Server, map[string]tool) error
		unknown bool
	}{
		{"died", "good", plain("crash"), true},
		{"cancelled", "good", canceled, true},
		{"timed out", "good", plain("hang"), true},
		{"never read", "deaf", plain("t"), true},
		{"output closed", "mum", plain("t"), true},
		{"answer too long", "strange", plain("huge"), true},
		{"asked back", "strange", plain("ask"), false},
		{"refused", "good", plain("refuse"), false},
		{"closed before", "good", func(t *testing.T, s *mcptool.Server, tools map[string]tool) error {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			_, err := tools["echo"].call(t.Context(), "")
			return err
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := testServer(t, tt.server)
			s.CallTimeout = 2 * time.Second
			err := tt.call(t, s, start(t, s))
			if err == nil || errors.Is(err, tramontane.ErrOutcomeUnknown) != tt.unknown {
				t.Errorf("error %v, of unknown outcome: %t, want %t", err, !tt.unknown, tt.unknown)
			}
		})
	}
}

func eventuallyExists(file string) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); <-tick.C {
		if matches, _ := filepath.Glob(file); len(matches) > 0 {
			return
		}
	}
}

// In a run, the model is told that the outcome is unknown, not that the call
// failed.
func TestRunTellsUnknownOutcome(t *testing.T) {
	t.Parallel()
	var got []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = append(got, string(body))
		output := `{"type":"function.call","tool_call_id":"a","name":"test_crash","arguments":"{}"}`
		if len(got) > 1 {
			output = `{"type":"message.output","content":"I see."}`
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"conversation.response","conversation_id":"conv_1","outputs":[%s],"usage":{}}`, output)
	}))
	defer api.Close()
	client := &mistral.Client{BaseURL: api.URL, HTTPClient: api.Client()}
	runner := &tramontane.Runner{Client: client, Model: "m", Toolsets: []tramontane.Toolset{testServer(t, "good")}}
	if _, err := runner.Run(t.Context(), tramontane.UserText("Go."), nil); err != nil {
		t.Fatal(err)
	}
	if want := "outcome of the call is not known: mcp server test: tool crash"; !strings.Contains(got[1], want) {
		t.Errorf("append = %s, want %q in it", got[1], want)
	}
}
