package tramontane_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mistral"
)

// asks is a tool that asks the run's model.
func asks(said *string, err *error, kept *context.Context) tramontane.Tool {
	return tramontane.Func("locate", "", func(ctx context.Context, _ place) (string, error) {
		*kept = ctx
		most := 5
		var reply *tramontane.SampleReply
		reply, *err = tramontane.Sample(ctx, &tramontane.SampleRequest{
			Instructions:   "Be short.",
			Inputs:         tramontane.UserText("Which town?"),
			CompletionArgs: &mistral.CompletionArgs{MaxTokens: &most},
		})
		if *err == nil {
			*said = fmt.Sprint(reply.Model, " ", reply.Outputs[0].(*mistral.MessageOutput).Content.String(), " ", reply.Usage.TotalTokens)
		}
		return *said, nil
	}, nil)
}

func TestSample(t *testing.T) {
	replies := []string{"[" + call("a", "locate", `{"name":"A"}`) + "]", "[" + message("Lyon") + "]", "[" + message("Done.") + "]"}
	for name, row := range map[string]struct {
		runner *tramontane.Runner
		opts   *tramontane.RunOptions
		asked  string // of the API, beside the conversation
		model  string
	}{
		"model":     {runner: &tramontane.Runner{Model: "m"}, model: "m"},
		"agent":     {runner: &tramontane.Runner{AgentID: "ag_1"}, model: "am"},
		"local":     {runner: &tramontane.Runner{Model: "m", Local: true}, model: "m"},
		"continued": {runner: new(tramontane.Runner), opts: &tramontane.RunOptions{ConversationID: "conv_1"}, model: "cm", asked: "GET /v1/conversations/conv_1\n"},
	} {
		t.Run(name, func(t *testing.T) {
			a, client := newAPI(t, replies...)
			a.agent, a.started = theAgent, `{"object":"conversation","id":"conv_1","model":"cm","created_at":"2025-01-01T00:00:00Z","updated_at":"2025-01-01T00:00:00Z"}`
			a.history = `[{"object":"entry","type":"message.input","role":"user","content":"x","id":"e1"}]`
			var said string
			var err error
			var kept context.Context
			r := row.runner
			r.Client, r.Tools = client, []tramontane.Tool{asks(&said, &err, &kept)}
			result, runErr := r.Run(t.Context(), tramontane.UserText("Where?"), row.opts)
			if runErr != nil || err != nil {
				t.Fatalf("Run: %v; Sample: %v; requests %q", runErr, err, a.got)
			}
			if want := row.model + " Lyon 3"; said != want {
				t.Errorf("Sample says %q, want %q", said, want)
			}
			var sent string
			for _, got := range a.got {
				if strings.Contains(got, "Which town?") {
					sent = got
				}
			}
			for _, want := range []string{"POST /v1/conversations {", `"store":false`, `"model":"` + row.model + `"`, `"instructions":"Be short."`, `"max_tokens":5`} {
				if !strings.Contains(sent, want) {
					t.Errorf("the request lacks %s: %s", want, sent)
				}
			}
			if strings.Contains(sent, "tools") || strings.Contains(sent, "Be kind") || strings.Contains(sent, "Where?") {
				t.Errorf("the request has what is the run's: %s", sent)
			}
			if !strings.Contains(strings.Join(a.got, "\n"), row.asked) {
				t.Errorf("requests = %q, want %q among them", a.got, row.asked)
			}
			if got := result.Usage.TotalTokens; got != 9 {
				t.Errorf("usage of the run = %d tokens, want those of three replies", got)
			}
			if _, err := tramontane.Sample(kept, &tramontane.SampleRequest{Inputs: tramontane.UserText("Hi")}); !errors.Is(err, tramontane.ErrNoRun) {
				t.Errorf("Sample after the run: %v, want ErrNoRun", err)
			}
		})
	}
	if _, err := tramontane.Sample(t.Context(), new(tramontane.SampleRequest)); !errors.Is(err, tramontane.ErrNoRun) {
		t.Errorf("Sample outside of a run: %v, want ErrNoRun", err)
	}
}

// A request for the model ends with its run, whatever became of its context.
func TestSampleEndsWithItsRun(t *testing.T) {
	asked := make(chan struct{})
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"store":false`) {
			close(asked)
			<-r.Context().Done()
			return
		}
		outputs := message("Done.")
		if !strings.Contains(string(body), "function.result") {
			outputs = call("a", "locate", `{"name":"A"}`)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"object":"conversation.response","conversation_id":"conv_1","outputs":[%s],"usage":{}}`, outputs)
	}))
	defer api.Close()
	ended := make(chan error, 1)
	locate := tramontane.Func("locate", "", func(ctx context.Context, _ place) (string, error) {
		go func() {
			_, err := tramontane.Sample(context.WithoutCancel(ctx), &tramontane.SampleRequest{Inputs: tramontane.UserText("Which town?")})
			ended <- err
		}()
		<-asked
		return "here", nil
	}, nil)
	runner := &tramontane.Runner{Client: &mistral.Client{BaseURL: api.URL, HTTPClient: api.Client()}, Model: "m", Tools: []tramontane.Tool{locate}}
	if _, err := runner.Run(t.Context(), tramontane.UserText("Where?"), nil); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Sample: %v, want it cancelled", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("the request for the model outlives the run")
		api.CloseClientConnections()
	}
}

// What was sampled counts for a run that is resumed, too.
func TestSampleUsageIsKept(t *testing.T) {
	_, client := newAPI(t, "["+call("a", "locate", `{"name":"A"}`)+"]", "["+message("Lyon")+"]", "["+message("Done.")+"]")
	var said string
	var err error
	var kept context.Context
	runner := &tramontane.Runner{Client: client, Model: "m", MaxTurns: 1, Tools: []tramontane.Tool{asks(&said, &err, &kept)}}
	first, runErr := runner.Run(t.Context(), tramontane.UserText("Where?"), nil)
	if !errors.Is(runErr, tramontane.ErrMaxTurns) || first.Usage.TotalTokens != 6 {
		t.Fatalf("Run = %+v, %v; want it to end after one turn and one sample", first, runErr)
	}
	second, runErr := runner.Run(t.Context(), nil, &tramontane.RunOptions{Resume: first.State})
	if runErr != nil || second.Usage.TotalTokens != 9 {
		t.Errorf("resumed: usage %d, %v, want 9", second.Usage.TotalTokens, runErr)
	}
}
