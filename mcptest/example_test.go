package mcptest_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/mcptest"
	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server"
	"github.com/tramontane-dev/tramontane/server/model"
	"github.com/tramontane-dev/tramontane/server/sqlite"
)

// script is what the model says, and what it must have been told.
const script = `
{"tool_calls": [{"function": {"name": "bank_pay", "arguments": {"number": 7}}}]}
{"expect": {"last_content": "outcome of the call is not known"}, "content": "Please look whether invoice 7 is paid."}
`

// An agent that pays invoices is tested with a bank that makes the payment and
// loses the answer: it must not be made again. In a test, Start(t) closes what
// is closed by hand here.
func Example() {
	type invoice struct {
		Number int `json:"number"`
	}
	bank := &mcptest.Server{
		Name: "bank",
		Tools: []tramontane.Tool{
			tramontane.Func("pay", "Pays an invoice.", func(_ context.Context, in invoice) (string, error) {
				return fmt.Sprintf("Invoice %d is paid.", in.Number), nil
			}, nil),
		},
	}
	client := bank.Start(nil)
	defer bank.Close()
	defer client.Close()
	bank.Break(mcptest.At{Tool: "pay", Nth: 1, Ran: true}, mcptest.Cut{})

	api, done := startAPI(script)
	defer done()
	agent := &tramontane.Runner{
		Client:   &mistral.Client{BaseURL: api, APIKey: "none"},
		Model:    "scripted",
		Toolsets: []tramontane.Toolset{client},
	}
	result, err := agent.Run(context.Background(), tramontane.UserText("Pay invoice 7."), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Text)
	for _, call := range bank.Calls() {
		fmt.Printf("%s %s came %d time\n", call.Tool, call.Arguments, call.Nth)
	}
	// Output:
	// Please look whether invoice 7 is paid.
	// pay {"number":7} came 1 time
}

// startAPI starts the self-hosted API with a scripted model.
func startAPI(script string) (url string, done func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "script.jsonl")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		log.Fatal(err)
	}
	scripted, err := model.LoadScripted(path)
	if err != nil {
		log.Fatal(err)
	}
	store, err := sqlite.Open(context.Background(), ":memory:", nil)
	if err != nil {
		log.Fatal(err)
	}
	api := httptest.NewServer(server.New(store, scripted, nil))
	return api.URL, func() {
		api.Close()
		store.Close()
		os.RemoveAll(dir)
	}
}
