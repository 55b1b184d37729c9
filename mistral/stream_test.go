package mistral_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
)

const (
	startedFrame = "event: conversation.response.started\ndata: {\"type\":\"conversation.response.started\",\"conversation_id\":\"conv_1\"}\n\n"
	deltaFrame   = "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"id\":\"msg_1\",\"content\":\"a\"}\n\n"
	doneFrame    = "event: conversation.response.done\r\ndata: {\"usage\":{}}\r\n\r\n"
)

func collect(t *testing.T, events func(func(mistral.Event, error) bool)) (names []string, err error) {
	t.Helper()
	for ev, err := range events {
		if err != nil {
			return names, err
		}
		switch ev := ev.(type) {
		case *mistral.ResponseStarted:
			names = append(names, "started")
		case *mistral.MessageOutputDelta:
			names = append(names, "delta")
		case *mistral.ResponseDone:
			names = append(names, "done")
		case *mistral.ResponseError:
			names = append(names, "error")
		case *mistral.UnknownEvent:
			names = append(names, "unknown "+ev.Type)
		}
	}
	return names, nil
}

func TestStream(t *testing.T) {
	tests := []struct {
		name, body string
		want       []string
		err        error
	}{
		{"done", startedFrame + ": keep-alive\n\nevent: x.y\ndata: {\"type\":\"x.y\"}\n\n" + doneFrame + "event: late\ndata: {}\n\n",
			[]string{"started", "unknown x.y", "done"}, nil},
		{"error", startedFrame + "data: {\"type\":\"conversation.response.error\",\"message\":\"m\",\"code\":3000}\n\n",
			[]string{"started", "error"}, nil},
		{"no blank line at the end", startedFrame + strings.TrimSpace(doneFrame), []string{"started", "done"}, nil},
		{"cut", startedFrame, []string{"started"}, io.ErrUnexpectedEOF},
		{"empty", "", nil, io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client, _ := serve(t, http.StatusOK, "text/event-stream; charset=utf-8", test.body)
			got, err := collect(t, client.StreamAppend(t.Context(), "conv_1", &mistral.AppendRequest{}))
			if !errors.Is(err, test.err) {
				t.Errorf("error is %v, want %v", err, test.err)
			}
			if got, want := mistral.Uncertain(err), test.err != nil; got != want {
				t.Errorf("Uncertain(%v) = %v", err, got)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

// Events may hold an image.
func TestLargeEvent(t *testing.T) {
	image := strings.Repeat("A", 8<<20)
	client, _ := serve(t, http.StatusOK, "text/event-stream",
		`data: {"type":"message.output.delta","id":"msg_1","content":{"type":"image_url","image_url":"`+image+"\"}}\n\n"+doneFrame)
	for ev, err := range client.StreamStart(t.Context(), &mistral.ConversationRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		if delta, ok := ev.(*mistral.MessageOutputDelta); ok && delta.Content.Chunk.(*mistral.ImageURLChunk).ImageURL.URL != image {
			t.Error("the image is another")
		}
	}
}

func TestStreamWithMalformedEvent(t *testing.T) {
	for _, data := range []string{`{"type":"message.output.delta","id":1}`, `{"type":"message.output.delta"`, `[]x`, `{"type":"x.y",}`, `{"type":"x.y"} x`} {
		client, _ := serve(t, http.StatusOK, "text/event-stream", startedFrame+"event: message.output.delta\ndata: "+data+"\n\n"+doneFrame)
		got, err := collect(t, client.StreamAppend(t.Context(), "conv_1", &mistral.AppendRequest{}))
		if err == nil || !mistral.Uncertain(err) || !cmp.Equal(got, []string{"started"}) {
			t.Errorf("%s: events %v, error %v", data, got, err)
		}
	}
}

func TestStreamRequests(t *testing.T) {
	client, got := serve(t, http.StatusOK, "text/event-stream", doneFrame)
	ctx := t.Context()
	_, err1 := collect(t, client.StreamStart(ctx, &mistral.ConversationRequest{Model: "m"}))
	_, err2 := collect(t, client.StreamAppend(ctx, "c", &mistral.AppendRequest{}))
	_, err3 := collect(t, client.StreamRestart(ctx, "c", &mistral.RestartRequest{FromEntryID: "e"}))
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	want := []recorded{
		{"POST", "/v1/conversations", "", `{"inputs":"","model":"m","stream":true}`},
		{"POST", "/v1/conversations/c", "", `{"stream":true}`},
		{"POST", "/v1/conversations/c/restart", "", `{"stream":true,"from_entry_id":"e"}`},
	}
	if diff := cmp.Diff(want, *got); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestStreamAnsweredWithoutStream(t *testing.T) {
	client, _ := serve(t, http.StatusOK, "application/json", replyJSON)
	_, err := collect(t, client.StreamStart(t.Context(), &mistral.ConversationRequest{}))
	if err == nil || !mistral.Uncertain(err) || !strings.Contains(err.Error(), `application/json`) {
		t.Errorf("error is %v", err)
	}
}

func TestStreamRefused(t *testing.T) {
	client, _ := serve(t, http.StatusBadRequest, "application/json", `{"message":"m","code":3230}`)
	_, err := collect(t, client.StreamStart(t.Context(), &mistral.ConversationRequest{}))
	if e := new(mistral.Error); !errors.As(err, &e) || e.Code != "3230" || mistral.Uncertain(err) {
		t.Errorf("error is %v", err)
	}
}

func TestBreakReleasesTheConnection(t *testing.T) {
	released := make(chan struct{})
	client := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, startedFrame)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(released)
	})
	for range client.StreamStart(t.Context(), &mistral.ConversationRequest{}) {
		break
	}
	<-released
}

// A closer counts how often a body is closed.
type closer struct {
	io.Reader
	closed *int
}

func (c closer) Close() error { *c.closed++; return nil }

func TestBodiesAreClosed(t *testing.T) {
	for name, test := range map[string]struct {
		status     int
		kind, body string
	}{
		"whole":         {200, "text/event-stream", startedFrame + doneFrame},
		"cut":           {200, "text/event-stream", startedFrame},
		"malformed":     {200, "text/event-stream", startedFrame + "data: x\n\n"},
		"not streaming": {200, "application/json", replyJSON},
		"refused":       {400, "application/json", "{}"},
	} {
		opened, closed := 0, 0
		client := &mistral.Client{BaseURL: "http://localhost", HTTPClient: &http.Client{Transport: roundTripper(func(*http.Request) (*http.Response, error) {
			opened++
			resp := answer(test.status, test.kind, "")
			resp.Body = closer{strings.NewReader(test.body), &closed}
			return resp, nil
		})}}
		for range client.StreamStart(t.Context(), &mistral.ConversationRequest{}) {
		}
		for range client.StreamStart(t.Context(), &mistral.ConversationRequest{}) {
			break
		}
		client.Start(t.Context(), &mistral.ConversationRequest{})
		if opened != 3 || closed != opened {
			t.Errorf("%s: of %d bodies %d were closed", name, opened, closed)
		}
	}
}

// What was read stays as it was, whatever comes after it in the same buffer.
func TestEventsKeepTheirBytes(t *testing.T) {
	var body strings.Builder
	var want []string
	for i := range 300 {
		raw := fmt.Sprintf(`{"type":"x.%d","pad":"%s"}`, i, strings.Repeat(string(rune('a'+i%26)), i))
		info := fmt.Sprintf(`{"n": %d,"pad":"%s"}`, i, strings.Repeat(string(rune('A'+i%26)), i))
		fmt.Fprintf(&body, "data: %s\n\ndata: {\"type\":\"tool.execution.done\",\"id\":\"%d\",\"name\":\"n%d\",\"info\":%s,\"new\":%s}\n\n", raw, i, i/2, info, raw)
		want = append(want, raw, fmt.Sprint(i), fmt.Sprint("n", i/2), info, raw)
	}
	client, _ := serve(t, http.StatusOK, "text/event-stream", body.String()+doneFrame)
	var events []mistral.Event
	for ev, err := range client.StreamStart(t.Context(), &mistral.ConversationRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, ev)
	}
	var got []string
	for _, ev := range events {
		switch ev := ev.(type) {
		case *mistral.UnknownEvent:
			got = append(got, string(ev.Raw))
		case *mistral.ToolExecutionDone:
			got = append(got, ev.ID, ev.Name, string(ev.Info), string(ev.Extra.Value("new")))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStreamRangedOverTwiceAtOnce(t *testing.T) {
	client := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		io.WriteString(w, startedFrame+doneFrame)
	})
	events := client.StreamStart(t.Context(), &mistral.ConversationRequest{})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { // the race detector watches
			if got, err := collect(t, events); err != nil || len(got) != 2 {
				t.Errorf("events %v, error %v", got, err)
			}
		})
	}
	group.Wait()
}

// slowly serves frames, a minute apart.
func slowly(t *testing.T, frames ...string) *mistral.Client {
	return pipeTo(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for _, frame := range frames {
			io.WriteString(w, frame)
			w.(http.Flusher).Flush()
			select {
			case <-time.After(time.Minute):
			case <-r.Context().Done():
				return
			}
		}
	})
}

func TestTimeoutsDoNotCutLongStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames := []string{startedFrame}
		for range 120 {
			frames = append(frames, ": keep-alive\n\n")
		}
		client := slowly(t, append(frames, doneFrame)...)
		client.HTTPClient.Timeout = time.Second
		client.Timeout = time.Second
		client.StreamIdle = 90 * time.Second
		// Nor does a caller who takes long over an event.
		for _, err := range client.StreamStart(t.Context(), &mistral.ConversationRequest{}) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Minute)
		}
	})
}

func TestStreamIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		silent := pipeTo(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})
		for name, client := range map[string]*mistral.Client{"in the middle": slowly(t, startedFrame, doneFrame), "at the start": silent} {
			client.StreamIdle = 10 * time.Second
			start := time.Now()
			_, err := collect(t, client.StreamStart(t.Context(), &mistral.ConversationRequest{}))
			if err == nil || !mistral.Uncertain(err) || !strings.Contains(err.Error(), "StreamIdle") || time.Since(start) != 10*time.Second {
				t.Errorf("%s: error is %v after %v", name, err, time.Since(start))
			}
		}
	})
}

// A server that cannot be reached has not been sent anything.
func TestStreamIdleWhileConnecting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		defer close(over) // a dial outlives the request that it is for
		unreachable := func(context.Context, string, string) (net.Conn, error) {
			<-over
			return nil, net.ErrClosed
		}
		client := &mistral.Client{BaseURL: "http://server", StreamIdle: time.Second, HTTPClient: &http.Client{Transport: &http.Transport{DialContext: unreachable}}}
		_, err := collect(t, client.StreamStart(t.Context(), &mistral.ConversationRequest{}))
		if err == nil || mistral.Uncertain(err) || !strings.Contains(err.Error(), "StreamIdle") {
			t.Errorf("error is %v, uncertain %v", err, mistral.Uncertain(err))
		}
	})
}

func TestStreamCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := slowly(t, startedFrame, deltaFrame, doneFrame)
		ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
		defer cancel()
		got, err := collect(t, client.StreamStart(ctx, &mistral.ConversationRequest{}))
		if !errors.Is(err, context.DeadlineExceeded) || !mistral.Uncertain(err) {
			t.Errorf("error is %v", err)
		}
		if diff := cmp.Diff([]string{"started", "delta"}, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestStreamChat(t *testing.T) {
	const chunk = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":null}]}\n\n"
	tests := []struct {
		name, body, err string
		want            int
	}{
		{"done", chunk + chunk + "data: [DONE]\n\n" + chunk, "", 2},
		{"cut", chunk, "unexpected EOF", 1},
		{"error", chunk + "data: {\"error\":{\"message\":\"out of memory\",\"code\":503}}\n\n", "503 Service Unavailable: out of memory", 1},
		{"error object", "data: {\"object\":\"error\",\"message\":\"broke\",\"type\":\"BadRequestError\"}\n\n", "200 OK: broke", 0},
	}
	for _, test := range tests {
		client, _ := serve(t, http.StatusOK, "text/event-stream", test.body)
		n := 0
		var last error
		for chunk, err := range client.StreamChat(t.Context(), &mistral.ChatRequest{Model: "m"}) {
			if last = err; err == nil && chunk.Choices[0].Delta.Content.Text == "a" {
				n++
			}
		}
		if n != test.want || (last == nil) != (test.err == "") || last != nil && !strings.Contains(last.Error(), test.err) {
			t.Errorf("%s: %d chunks, want %d; error is %v", test.name, n, test.want, last)
		}
	}
}
