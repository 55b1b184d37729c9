package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/sqlite"
)

// crashDB is the variable that makes the test binary a server on a database.
const crashDB = "TRAMONTANE_TEST_CRASH_DB"

// serveUntilKilled serves with the echo model and prints its address.
func serveUntilKilled(path string) {
	fail := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	store, err := sqlite.Open(context.Background(), path, nil)
	fail(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	fmt.Println(listener.Addr())
	fail(http.Serve(listener, server.New(store, echo{}, nil)))
}

// echo is a model that calls a function when the user says so, and says what it
// was told otherwise, in pieces.
type echo struct{}

func (echo) Stream(_ context.Context, req *mistral.ChatRequest) iter.Seq2[*mistral.ChatChunk, error] {
	return func(yield func(*mistral.ChatChunk, error) bool) {
		text := "done"
		if m, ok := req.Messages[len(req.Messages)-1].(*mistral.UserMessage); ok {
			text = m.Content.String()
		}
		pieces := []string{says("You "), says("said "), says(text)}
		if strings.HasSuffix(text, "call") {
			pieces = []string{calls(`null f {"text":"` + text + `"}`)}
		}
		for _, piece := range pieces {
			chunk := new(mistral.ChatChunk)
			if err := chunk.UnmarshalJSON([]byte(piece)); err != nil || !yield(chunk, err) {
				return
			}
		}
	}
}

func (m echo) Complete(ctx context.Context, req *mistral.ChatRequest) (*mistral.ChatResponse, error) {
	var list [][]string
	for chunk := range m.Stream(ctx, req) {
		data, err := json.Marshal(chunk)
		if err != nil {
			return nil, err
		}
		list = append(list, []string{string(data)})
	}
	return (&script{answers: list[:1]}).Complete(ctx, req)
}

// errAnswered is an answer that a server gives only if it is wrong.
var errAnswered = errors.New("refused")

// client gives up on a server that hangs, which would be a fault like any other.
var client = &http.Client{Timeout: 20 * time.Second}

// A talk is a conversation as a client knows it.
type talk struct {
	id      string
	outputs []string // ids of the entries that were acknowledged
	call    string   // id of the open call
	turns   int
}

// next makes the talk's next request, plain or as a stream, and returns nil if
// it was acknowledged.
func (k *talk) next(url string) error {
	path, request := "/v1/conversations", map[string]any{"model": "m"}
	if k.id != "" {
		path, request = path+"/"+k.id, map[string]any{}
	}
	k.turns++
	request["stream"] = k.turns%2 == 0
	request["inputs"] = fmt.Sprintf("turn %d", k.turns)
	switch {
	case k.call != "":
		request["inputs"] = []any{map[string]any{"type": "function.result", "tool_call_id": k.call, "result": "r"}}
	case k.turns%3 == 0:
		request["inputs"] = fmt.Sprintf("turn %d call", k.turns)
	}
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	resp, err := client.Post(url+path, "application/json", strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: POST %s %s: status %d: %s", errAnswered, path, body, resp.StatusCode, data)
	}
	return k.acknowledge(request["stream"].(bool), string(data))
}

// acknowledge notes what the answer says is stored.
func (k *talk) acknowledge(stream bool, data string) error {
	type entry struct {
		ConversationID string `json:"conversation_id"`
		Type           string
		ID             string
		ToolCallID     string `json:"tool_call_id"`
	}
	id, entries := k.id, []entry{}
	if stream {
		if !strings.Contains(data, "event: conversation.response.done\n") {
			if strings.Contains(data, "event: conversation.response.error\n") {
				return fmt.Errorf("%w: %s", errAnswered, data)
			}
			return errors.New("stream without an end")
		}
		for line := range strings.Lines(data) {
			raw, ok := strings.CutPrefix(line, "data: ")
			if !ok {
				continue
			}
			var e entry
			if err := json.Unmarshal([]byte(raw), &e); err != nil {
				return err
			}
			if e.ConversationID != "" {
				id = e.ConversationID
			}
			if e.ID != "" && (len(entries) == 0 || entries[len(entries)-1].ID != e.ID) {
				entries = append(entries, e)
			}
		}
	} else {
		var r struct {
			ConversationID string `json:"conversation_id"`
			Outputs        []entry
		}
		if err := json.Unmarshal([]byte(data), &r); err != nil {
			return err
		}
		id, entries = r.ConversationID, r.Outputs
	}
	k.id, k.call = id, ""
	for _, e := range entries {
		k.outputs = append(k.outputs, e.ID)
		k.call = e.ToolCallID
	}
	return nil
}

// check compares what is stored with what was acknowledged. What was not may be
// there, but then the whole of its turn.
func (k *talk) check(t *testing.T, url string) {
	t.Helper()
	resp, err := client.Get(url + "/v1/conversations/" + k.id + "/history")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var history struct {
		Entries []struct {
			Type, ID   string
			ToolCallID string `json:"tool_call_id"`
		}
	}
	if err := json.NewDecoder(resp.Body).Decode(&history); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("history of %s: status %d, %v", k.id, resp.StatusCode, err)
	}
	if n := len(history.Entries); n%2 != 0 || n/2 < len(k.outputs) || n/2 > len(k.outputs)+1 {
		t.Fatalf("%s has %d entries after %d acknowledged turns", k.id, n, len(k.outputs))
	}
	k.call = ""
	for i, e := range history.Entries {
		isOutput := e.Type == "message.output" || e.Type == "function.call"
		if isOutput != (i%2 == 1) {
			t.Fatalf("%s: entry %d is a %s", k.id, i, e.Type)
		}
		if !isOutput {
			continue
		}
		if i/2 == len(k.outputs) {
			k.outputs = append(k.outputs, e.ID) // stored, though no one was told
		}
		if e.ID != k.outputs[i/2] {
			t.Fatalf("%s: output %d is %s, but %s was acknowledged", k.id, i/2, e.ID, k.outputs[i/2])
		}
		k.call = e.ToolCallID
	}
}

// TestKill kills the server 50 times, while it is busy and while it is idle.
func TestKill(t *testing.T) {
	const rounds, clients = 50, 4
	db := filepath.Join(t.TempDir(), "db")
	defer client.CloseIdleConnections()
	talks := make([]*talk, clients)
	for i := range talks {
		talks[i] = new(talk)
	}
	acknowledged := 0
	for round := range rounds {
		url, kill := startKillable(t, db)
		for _, k := range talks {
			if k.id != "" {
				k.check(t, url)
			}
			if err := k.next(url); err != nil {
				t.Fatalf("round %d: the first append: %v", round, err)
			}
			acknowledged++
		}
		if round%5 == 0 {
			kill()
			continue
		}
		var wg sync.WaitGroup
		for i := range talks {
			wg.Go(func() {
				var err error
				for err == nil {
					if len(talks[i].outputs) > 30 {
						talks[i] = new(talk)
					}
					err = talks[i].next(url)
				}
				if errors.Is(err, errAnswered) {
					t.Error(err)
				}
			})
		}
		time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, kill)
		wg.Wait()
		for _, k := range talks {
			acknowledged += len(k.outputs)
		}
	}
	if acknowledged < 2*rounds*clients {
		t.Errorf("only %d turns were acknowledged: the server was hardly busy", acknowledged)
	}
}

// startKillable starts a server process and returns a function that kills it
// and waits for its end.
func startKillable(t *testing.T, db string) (url string, kill func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), crashDB+"="+db)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
		cancel()
	})
	t.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the server did not start: %v", err)
	}
	return "http://" + strings.TrimSpace(line), kill
}
