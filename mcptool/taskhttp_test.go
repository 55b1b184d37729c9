package mcptool_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Over HTTP, requests about a task name it in a header, by which what stands
// before the server finds the instance that has the task.
func TestTaskHeader(t *testing.T) {
	t.Parallel()
	j := &jobs{era: modern, states: []string{`"status":"working","pollIntervalMs":30`, `"status":"completed","result":` + built}}
	var mu sync.Mutex
	var got []string
	url := serveHTTP(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var req struct {
			ID     json.RawMessage
			Method string
			Params json.RawMessage
		}
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil || req.ID == nil {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		var result string
		switch req.Method {
		case "server/discover":
			result = `{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}`
		case "tools/list":
			result = `{"resultType":"complete","tools":[` + rawTool("build", "") + `]}`
		default:
			mu.Lock()
			got = append(got, r.Header.Get("Mcp-Method")+" "+r.Header.Get("Mcp-Name"))
			mu.Unlock()
			result, _ = j.answer(nil, req.Method, req.Params)
		}
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"jsonrpc":"2.0","id":%s,"result":%s}`, req.ID, result)
	}))
	s := remoteServer(t, url)
	if said := toldBy(t, start(t, s)["build"]); !strings.Contains(said, "built") {
		t.Errorf("the call says %q", said)
	}
	if diff := cmp.Diff([]string{"tools/call build", "tasks/get t-1"}, got); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
}
