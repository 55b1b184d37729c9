// Command api plays the model API for the benchmarks, on loopback and without
// a moment of thought: a conversation begins with a call of the tool that the
// request offers, and ends with a message. It prints its address.
//
// A model named stream-N answers a streamed request with N tokens of text, one
// an event, written to the network 32 events at a time. GET /requests returns
// how often the model was asked.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("http://" + l.Addr().String())
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/conversations", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var in struct {
			Model  string
			Stream bool
			Tools  []struct{ Function struct{ Name string } }
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if in.Stream {
			n, _ := strconv.Atoi(strings.TrimPrefix(in.Model, "stream-"))
			stream(w, n)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, callReply, in.Tools[0].Function.Name)
	})
	mux.HandleFunc("POST /v1/conversations/{id}", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		var in struct{ Inputs []struct{ Result string } }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || len(in.Inputs) != 1 {
			http.Error(w, "want one result", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, messageReply, in.Inputs[0].Result)
	})
	mux.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, asked.Load()) })
	log.Fatal(http.Serve(l, mux))
}

const callReply = `{"object":"conversation.response","conversation_id":"conv_067f2a98c1a773678000ce73a36b785a","outputs":[` +
	`{"object":"entry","type":"function.call","created_at":"2025-06-01T10:00:00.000000Z","completed_at":"2025-06-01T10:00:00.000000Z",` +
	`"id":"fc_067f2a9925d674ea8000e63c68ae0474","tool_call_id":"WJfo42Ow3","name":%q,"arguments":"{\"text\": \"twenty bytes of text\"}"}],` +
	`"usage":{"prompt_tokens":100,"completion_tokens":20,"total_tokens":120}}`

const messageReply = `{"object":"conversation.response","conversation_id":"conv_067f2a98c1a773678000ce73a36b785a","outputs":[` +
	`{"object":"entry","type":"message.output","created_at":"2025-06-01T10:00:00.000000Z","completed_at":"2025-06-01T10:00:00.000000Z",` +
	`"id":"msg_067f2a9925d674ea8000e63c68ae0474","model":"some-model","role":"assistant","content":%q}],` +
	`"usage":{"prompt_tokens":130,"completion_tokens":20,"total_tokens":150}}`

const eventsPerFlush = 32

func stream(w http.ResponseWriter, n int) {
	w.Header().Set("Content-Type", "text/event-stream")
	out := bufio.NewWriterSize(w, 64<<10)
	flush := func() {
		out.Flush()
		w.(http.Flusher).Flush()
	}
	defer flush()
	fmt.Fprintf(out, "event: conversation.response.started\ndata: {\"type\":\"conversation.response.started\",\"created_at\":\"2025-06-01T10:00:00.000000Z\",\"conversation_id\":\"conv_067f2a98c1a773678000ce73a36b785a\"}\n\n")
	for i := range n {
		fmt.Fprintf(out, "event: message.output.delta\ndata: {\"type\":\"message.output.delta\",\"created_at\":\"2025-06-01T10:00:%02d.%06dZ\",\"output_index\":0,\"id\":\"msg_067f2a9925d674ea8000e63c68ae0474\",\"content_index\":0,\"model\":\"some-model\",\"agent_id\":null,\"role\":\"assistant\",\"content\":\" token%d\"}\n\n", i/1000%60, i, i)
		if i%eventsPerFlush == 0 {
			flush()
		}
	}
	fmt.Fprintf(out, "event: conversation.response.done\ndata: {\"type\":\"conversation.response.done\",\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n\n")
}
