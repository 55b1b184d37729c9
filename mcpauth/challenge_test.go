package mcpauth

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestReadChallenge(t *testing.T) {
	for _, tt := range []struct {
		headers []string
		want    challenge
	}{
		{nil, challenge{}},
		{[]string{"Bearer"}, challenge{}},
		{
			[]string{`Bearer error="insufficient_scope", scope="a  b", resource_metadata="https://x/y", error_description="so, so"`},
			challenge{problem: "insufficient_scope", scopes: []string{"a", "b"}, metadata: "https://x/y"},
		},
		{[]string{`bearer  SCOPE = a ,error=invalid_token`}, challenge{problem: "invalid_token", scopes: []string{"a"}}},
		{[]string{`Basic realm="x, Bearer scope=no", Bearer scope="b"`}, challenge{scopes: []string{"b"}}},
		{[]string{`Negotiate abc==, Bearer scope="b"`}, challenge{scopes: []string{"b"}}},
		{[]string{`Basic realm="x"`, `Bearer scope="b"`}, challenge{scopes: []string{"b"}}},
		{[]string{`DPoP error="use_dpop_nonce", scope="a", resource_metadata="https://x"`},
			challenge{problem: useNonce, scopes: []string{"a"}, metadata: "https://x", dpop: true, dpopOnly: true, nonce: true}},
		{[]string{`DPoP algs="ES256"`, `Bearer error="invalid_token"`}, challenge{problem: "invalid_token", dpop: true}},
		{[]string{`Bearer error="invalid_token", DPoP error="use_dpop_nonce"`}, challenge{problem: "invalid_token", dpop: true, nonce: true}},
		{[]string{`Bearer error="use_dpop_nonce"`}, challenge{problem: useNonce}},
		{[]string{`Digest error="use_dpop_nonce"`}, challenge{}},
		{[]string{`Bearer resource_metadata=https://x/y?z=1, scope=b`}, challenge{scopes: []string{"b"}, metadata: "https://x/y?z=1"}},
		{[]string{`Bearer scope="a\"b\\c"`}, challenge{scopes: []string{`a"b\c`}}},
		{[]string{`Bearer error="never ends, scope=x`}, challenge{}},
		{[]string{`Bearer scope="first", scope="second"`}, challenge{scopes: []string{"first"}}},
		{[]string{`"quoted" ; , Bearer scope="b"`}, challenge{scopes: []string{"b"}}},
		{[]string{`Bearer ,,, scope="b"`}, challenge{scopes: []string{"b"}}},
	} {
		got := readChallenge(http.Header{"Www-Authenticate": tt.headers})
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(challenge{})); diff != "" {
			t.Errorf("readChallenge(%q) (-want +got):\n%s", tt.headers, diff)
		}
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Bearer error="insufficient_scope", scope="a b", resource_metadata="https://x/y"`)
	f.Add(`Negotiate abc==, Basic realm="\"", Bearer scope=b`)
	f.Add(`"`)
	f.Fuzz(func(t *testing.T, s string) {
		got := readChallenge(http.Header{"Www-Authenticate": {s}})
		for _, scope := range got.scopes {
			if scope == "" || strings.ContainsFunc(scope, unicode.IsSpace) {
				t.Errorf("readChallenge(%q) has the scope %q", s, scope)
			}
		}
		// What was read can be written and read again.
		if strings.ContainsAny(s, `"\`) || len(got.scopes) == 0 {
			return
		}
		again := readChallenge(http.Header{"Www-Authenticate": {`Bearer scope="` + strings.Join(got.scopes, " ") + `"`}})
		if diff := cmp.Diff(got.scopes, again.scopes); diff != "" {
			t.Errorf("readChallenge(%q), written and read again (-first +again):\n%s", s, diff)
		}
	})
}

// documents is a web of one origin, in memory.
type documents map[string]string

func (d documents) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" {
		return nil, errors.New("a request without https")
	}
	body, found := d[req.URL.Path]
	status := http.StatusOK
	if !found {
		status = http.StatusNotFound
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

// Whatever metadata says, what comes of it is safe to use.
func FuzzMetadata(f *testing.F) {
	f.Add(`{"resource":"https://x.example/mcp","authorization_servers":["https://x.example"],"scopes_supported":["a"]}`,
		`{"issuer":"https://x.example","authorization_endpoint":"https://x.example/a","token_endpoint":"https://x.example/t","code_challenge_methods_supported":["S256"]}`)
	f.Add(`{"resource":"https://x.example","authorization_servers":["https://x.example/"]}`, `{"issuer":"https://x.example/","authorization_endpoint":"http://localhost","token_endpoint":"http://localhost","code_challenge_methods_supported":["S256"]}`)
	f.Add(`[]`, `null`)
	f.Add(``, `{"issuer":"https://x.example"}`)
	f.Fuzz(func(t *testing.T, resource, server string) {
		u, err := url.Parse("https://x.example/mcp")
		if err != nil {
			t.Fatal(err)
		}
		docs := documents{"/.well-known/oauth-authorization-server": server}
		if resource != "" {
			docs["/.well-known/oauth-protected-resource/mcp"] = resource
		}
		w, err := newWeb(&http.Client{Transport: docs}, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		finder := &finder{web: w, server: u, code: true}
		r, err := finder.find(context.Background(), challenge{})
		if err != nil {
			return
		}
		if r.resource != "https://x.example/mcp" {
			t.Errorf("resource %q", r.resource)
		}
		for _, endpoint := range []string{r.Authorization, r.Token} {
			if e, err := url.Parse(endpoint); err != nil || secure(e, nil) != nil || isLoopback(hostOf(e)) {
				t.Errorf("endpoint %q", endpoint)
			}
		}
		if !r.guessed && !sameIssuer(r.Issuer, "https://x.example") {
			t.Errorf("issuer %q", r.Issuer)
		}
		flow := newFlow(w, r, &client{id: "c", method: authNone}, binding{}, "http://127.0.0.1/callback", scopesFor(r, challenge{}, nil))
		if a, err := url.Parse(flow.AuthURL()); err != nil || a.Query().Get("code_challenge_method") != "S256" {
			t.Errorf("authorization URL %q", flow.AuthURL())
		}
	})
}

// What a resource may be called, by where its metadata is.
func TestResource(t *testing.T) {
	t.Parallel()
	const place = "/.well-known/oauth-protected-resource"
	for _, tt := range []struct {
		server, place, resource string
		want                    bool
	}{
		{"https://x.example/mcp", place + "/mcp", "https://x.example/mcp", true},
		{"https://x.example/mcp", place + "/mcp", "https://x.example", false},
		{"https://x.example/mcp", place, "https://x.example", true},
		{"https://x.example/mcp", place, "https://x.example/", true},
		{"https://x.example/mcp", place, "https://x.example/mcp", false},
		{"https://x.example", place, "https://x.example/", true},
		{"https://x.example/", place, "https://x.example", true},
		{"HTTPS://X.Example:443/mcp#here", place + "/mcp", "https://x.example/mcp", true},
		{"https://x.example:8443/mcp", place + "/mcp", "https://x.example/mcp", false},
		{"https://x.example/mcp", place + "/mcp", "https://x.example/mcp/", false},
	} {
		u, err := parseServer(tt.server)
		if err != nil {
			t.Fatal(err)
		}
		w, err := newWeb(&http.Client{Transport: documents{
			tt.place: `{"resource":"` + tt.resource + `","authorization_servers":["https://x.example"]}`,
			"/.well-known/oauth-authorization-server": `{"issuer":"https://x.example","token_endpoint":"https://x.example/token"}`,
		}}, u, nil)
		if err != nil {
			t.Fatal(err)
		}
		r, err := (&finder{web: w, server: u}).find(t.Context(), challenge{})
		if (err == nil) != tt.want || err == nil && r.resource != tt.resource {
			t.Errorf("%s calls itself %s at %s: %v, want success: %v", tt.server, tt.resource, tt.place, err, tt.want)
		}
	}
}
