package mistral_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/mistral"
)

// BenchmarkStream decodes one reply of n events, without a network: by a loop
// as one would write it by hand, which takes the text alone, and by the client.
//
//	go test -run '^$' -bench Stream -count 6 ./mistral
func BenchmarkStream(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		body := replyBody(n)
		b.Run("floor/"+strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				if got := floor(b, body); got != n {
					b.Fatalf("%d events, want %d", got, n)
				}
			}
			perEvent(b, n)
		})
		b.Run("client/"+strconv.Itoa(n), func(b *testing.B) {
			client := &mistral.Client{BaseURL: "http://localhost", HTTPClient: &http.Client{Transport: canned(body)}}
			in := &mistral.ConversationRequest{Model: "m"}
			for b.Loop() {
				got := 0
				for ev, err := range client.StreamStart(context.Background(), in) {
					if err != nil {
						b.Fatal(err)
					}
					if _, ok := ev.(*mistral.MessageOutputDelta); ok {
						got++
					}
				}
				if got != n {
					b.Fatalf("%d events, want %d", got, n)
				}
			}
			perEvent(b, n)
		})
	}
}

func perEvent(b *testing.B, n int) {
	b.ReportAllocs()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/event")
}

// replyBody is a reply as the API streams it: a token an event.
func replyBody(n int) string {
	var b strings.Builder
	b.WriteString("event: conversation.response.started\ndata: {\"type\":\"conversation.response.started\",\"created_at\":\"2025-06-01T10:00:00.000000Z\",\"conversation_id\":\"conv_067f2a98c1a773678000ce73a36b785a\"}\n\n")
	for i := range n {
		fmt.Fprintf(&b, "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"created_at\":\"2025-06-01T10:00:%02d.%06dZ\",\"output_index\":0,\"id\":\"msg_067f2a9925d674ea8000e63c68ae0474\",\"content_index\":0,\"model\":\"mistral-medium-latest\",\"agent_id\":null,\"role\":\"assistant\",\"content\":\" token%d\"}\n\n", i/1000%60, i, i)
	}
	b.WriteString("event: conversation.response.done\ndata: {\"type\":\"conversation.response.done\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n")
	return b.String()
}

// floor is the loop to compare with.
func floor(b *testing.B, body string) (n int) {
	s := bufio.NewScanner(strings.NewReader(body))
	for s.Scan() {
		data, ok := bytes.CutPrefix(s.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		var ev struct {
			Type         string `json:"type"`
			CreatedAt    string `json:"created_at"`
			OutputIndex  int    `json:"output_index"`
			ID           string `json:"id"`
			ContentIndex int    `json:"content_index"`
			Model        string `json:"model"`
			AgentID      string `json:"agent_id"`
			Role         string `json:"role"`
			Content      string `json:"content"`
		}
		if err := json.Unmarshal(data, &ev); err != nil {
			b.Fatal(err)
		}
		if ev.Type == "message.output.delta" {
			n++
		}
	}
	return n
}

// canned answers every request with the same stream.
type canned string

func (c canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK,
		Header:     http.Header{"Content-Type": {"text/event-stream"}},
		Body:       io.NopCloser(strings.NewReader(string(c))),
	}, nil
}
