// Command client plays the client's part in the official conformance suite for
// MCP, with this module's own client: mcptool and mcpauth, and a run where the
// scenario calls tools.
//
// The suite starts it once for each scenario. The server's URL is the last
// argument; MCP_CONFORMANCE_SCENARIO names the scenario, and
// MCP_CONFORMANCE_CONTEXT is a JSON object of what it needs to know. It prints
// "ok" and exits with 0 if the scenario ended as a good client has to end it,
// also where that is a refusal, with 1 if not, and with 3 if it does not know
// the scenario.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/tramontane-dev/tramontane"
	"github.com/tramontane-dev/tramontane/internal/playcalls"
	"github.com/tramontane-dev/tramontane/mcptool"
)

// The suite ends a client after 30 seconds, without a word of why.
const limit = 25 * time.Second

// A peer is the other side of a scenario.
type peer struct {
	url string

	// What the scenario tells beforehand.
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	Issuer       string `json:"issuer"`
	PrivateKey   string `json:"private_key_pem"`
	WorkloadJWT  string `json:"valid_jwt"`
	IdP          string `json:"idp_issuer"`
	IdPClientID  string `json:"idp_client_id"`
	IDToken      string `json:"idp_id_token"`
	ToolCalls    []struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"toolCalls"`
}

// scenarios says how each one of the suite is played.
var scenarios = map[string]func(context.Context, *peer) error{
	"initialize":                          listTools,
	"request-metadata":                    listTools,
	"json-schema-ref-no-deref":            listTools,
	"tools_call":                          callTools(playcalls.Call{Tool: "add_numbers", Arguments: json.RawMessage(`{"a":5,"b":3}`)}),
	"sse-retry":                           callTools(playcalls.Call{Tool: "test_reconnection"}),
	"http-standard-headers":               useAll,
	"http-custom-headers":                 callGiven,
	"http-invalid-tool-headers":           callAll,
	"json-schema-2020-12-preservation":    echoSchema,
	"elicitation-sep1034-client-defaults": answerWith(nil, "test_client_elicitation_defaults"),
	"sep-2322-client-request-state": answerWith(map[string]any{"confirmed": true},
		"test_mrtr_echo_state", "test_mrtr_no_state", "test_mrtr_unrelated", "test_mrtr_no_result_type"),

	"sep-2640-client-no-prefetch":        offerSkills,
	"sep-2640-client-verify-digest":      refuseSkill,
	"sep-2640-client-verify-size":        refuseSkill,
	"sep-2640-client-verify-frontmatter": refuseSkill,

	"auth/2025-03-26-oauth-endpoint-fallback":   loggedIn,
	"auth/2025-03-26-oauth-metadata-backcompat": loggedIn,
	"auth/authorization-server-migration":       loggedIn,
	"auth/basic-cimd":                           loggedIn,
	"auth/iss-not-advertised":                   loggedIn,
	"auth/iss-supported":                        loggedIn,
	"auth/metadata-default":                     loggedIn,
	"auth/metadata-var1":                        loggedIn,
	"auth/metadata-var2":                        loggedIn,
	"auth/metadata-var3":                        loggedIn,
	"auth/offline-access-not-supported":         loggedIn,
	"auth/offline-access-scope":                 loggedIn,
	"auth/pre-registration":                     loggedIn,
	"auth/scope-from-scopes-supported":          loggedIn,
	"auth/scope-from-www-authenticate":          loggedIn,
	"auth/scope-omitted-when-undefined":         loggedIn,
	"auth/scope-step-up":                        loggedIn,
	"auth/token-endpoint-auth-basic":            loggedIn,
	"auth/token-endpoint-auth-none":             loggedIn,
	"auth/token-endpoint-auth-post":             loggedIn,
	"auth/dpop":                                 loggedIn,
	"auth/dpop-nonce":                           loggedIn,
	"auth/client-credentials-basic":             asItself,
	"auth/client-credentials-jwt":               asItself,
	"auth/wif-jwt-bearer":                       asWorkload,
	"auth/enterprise-managed-authorization":     asEmployee,
	"auth/iss-normalized":                       refused,
	"auth/iss-supported-missing":                refused,
	"auth/iss-unexpected":                       refused,
	"auth/iss-wrong-issuer":                     refused,
	"auth/metadata-issuer-mismatch":             notLetIn,
	"auth/resource-mismatch":                    notLetIn,
	"auth/scope-retry-limit":                    notLetIn,
}

func main() {
	log.SetFlags(0)
	name := os.Getenv("MCP_CONFORMANCE_SCENARIO")
	play, ok := scenarios[name]
	if !ok || len(os.Args) < 2 {
		log.Printf("usage: MCP_CONFORMANCE_SCENARIO=NAME client URL; %q is no scenario that this client plays", name)
		os.Exit(3)
	}
	p := &peer{url: os.Args[len(os.Args)-1]}
	if known := os.Getenv("MCP_CONFORMANCE_CONTEXT"); known != "" {
		if err := json.Unmarshal([]byte(known), p); err != nil {
			log.Fatalf("MCP_CONFORMANCE_CONTEXT: %v", err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	err := play(ctx, p)
	cancel()
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	fmt.Println("ok")
}

// server is the peer as a user of the module writes it down.
func (p *peer) server() *mcptool.Server {
	return &mcptool.Server{
		Name:   "peer",
		URL:    p.url,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

// call has a run call tools of the server, by the server's names for them. All
// of them must succeed.
func call(ctx context.Context, s *mcptool.Server, calls ...playcalls.Call) error {
	tools, err := s.Tools(ctx)
	if err != nil {
		return err
	}
	names := make(map[string]string)
	for _, tool := range tools {
		names[tool.Definition().Original] = tool.Definition().Name
	}
	for i := range calls {
		name, ok := names[calls[i].Tool]
		if !ok {
			return fmt.Errorf("the server does not offer %s, but %q", calls[i].Tool, slices.Sorted(maps.Keys(names)))
		}
		calls[i].Tool = name
	}
	results, err := playcalls.Run(ctx, []tramontane.Toolset{s}, calls, nil)
	if err != nil {
		return err
	}
	for _, result := range results {
		if result.IsError {
			return fmt.Errorf("%s: %s", result.Call.Name, result.Entry.Result)
		}
	}
	return nil
}
