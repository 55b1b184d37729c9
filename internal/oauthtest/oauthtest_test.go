package oauthtest_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tramontane-dev/tramontane/internal/oauthtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const redirect = "http://localhost:16010/oauth/callback"

var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })

// An independent client goes through the whole flow.
func TestFlow(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{IssuerPath: "/tenant"})
	rs := oauthtest.Protect(t, hello, oauthtest.ResourceConfig{Scopes: []string{"read"}}, as)

	resp := get(t, rs.URL, "")
	if resp.status != 401 || !strings.Contains(resp.challenge, "resource_metadata=") {
		t.Fatalf("without a token: %+v", resp)
	}
	_, at, _ := strings.Cut(resp.challenge, `resource_metadata="`)
	var prm struct {
		Resource string
		Servers  []string `json:"authorization_servers"`
	}
	getJSON(t, strings.TrimSuffix(at, `"`), &prm)
	if prm.Resource != rs.URL || len(prm.Servers) != 1 || prm.Servers[0] != as.URL+"/tenant" {
		t.Fatalf("resource metadata = %+v", prm)
	}
	var meta struct {
		Issuer    string
		Authorize string `json:"authorization_endpoint"`
		Token     string `json:"token_endpoint"`
		Revoke    string `json:"revocation_endpoint"`
	}
	for _, at := range []string{"/.well-known/oauth-authorization-server/tenant", "/.well-known/openid-configuration/tenant", "/tenant/.well-known/openid-configuration"} {
		getJSON(t, as.URL+at, &meta)
		if meta.Issuer != as.Issuer {
			t.Errorf("%s: issuer %q, want %q", at, meta.Issuer, as.Issuer)
		}
	}
	client := registered(t, as)
	config := &oauth2.Config{ClientID: client, RedirectURL: redirect, Scopes: []string{"read"},
		Endpoint: oauth2.Endpoint{AuthURL: meta.Authorize, TokenURL: meta.Token, AuthStyle: oauth2.AuthStyleInParams}}
	token := login(t, config, rs.URL)
	if resp := get(t, rs.URL, token.AccessToken); resp.body != "hello" {
		t.Fatalf("with a token: %+v", resp)
	}

	// The first token dies, the refresh token gives another, and works once.
	as.EndAccess()
	if resp := get(t, rs.URL, token.AccessToken); resp.status != 401 {
		t.Fatalf("with a dead token: %+v", resp)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "client_id": {client}, "refresh_token": {token.RefreshToken}}
	if got := post(t, meta.Token, form); got["error"] != "invalid_target" {
		t.Errorf("refresh without a resource = %v", got)
	}
	form.Set("resource", rs.URL)
	second := post(t, meta.Token, form)
	if resp := get(t, rs.URL, second["access_token"].(string)); resp.body != "hello" {
		t.Fatalf("after a refresh: %+v", resp)
	}
	if got := post(t, meta.Token, form); got["error"] != "invalid_grant" {
		t.Errorf("a second use of the refresh token = %v", got)
	}
	if resp := get(t, rs.URL, second["access_token"].(string)); resp.status != 401 {
		t.Errorf("the login survived the second use of a refresh token: %+v", resp)
	}

	third := login(t, config, rs.URL)
	post(t, meta.Revoke, url.Values{"client_id": {client}, "token": {third.RefreshToken}})
	if resp := get(t, rs.URL, third.AccessToken); resp.status != 401 {
		t.Errorf("the login survived its revocation: %+v", resp)
	}
	want := oauthtest.Counts{Metadata: 3, Registrations: 1, Prompts: 2, TokenRequests: 5, Codes: 2, Refreshes: 1, Revocations: 1, Reuses: 1}
	if got := as.Counts(); got != want {
		t.Errorf("counts = %+v, want %+v", got, want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{})
	rs := oauthtest.Protect(t, hello, oauthtest.ResourceConfig{}, as)
	as.Add(oauthtest.Client{ID: "c", RedirectURIs: []string{redirect}})
	challenge := strings.Repeat("a", 43)
	for name, row := range map[string]struct{ change, value, want string }{
		"no PKCE":    {"code_challenge", "", "error=invalid_request"},
		"plain":      {"code_challenge_method", "plain", "error=invalid_request"},
		"no target":  {"resource", "", "error=invalid_target"},
		"any target": {"resource", "https://elsewhere.example", "error=invalid_target"},
		"no state":   {"state", "", "error=invalid_request"},
		"right":      {"scope", "read", "code="},
	} {
		q := url.Values{"response_type": {"code"}, "client_id": {"c"}, "redirect_uri": {redirect}, "state": {"s"}, "scope": {""},
			"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "resource": {rs.URL}}
		q.Set(row.change, row.value)
		back, err := new(oauthtest.Browser).Visit(t.Context(), as.URL+"/authorize?"+q.Encode())
		if err != nil || !strings.Contains(back, row.want) || !strings.Contains(back, "iss="+url.QueryEscape(as.Issuer)) {
			t.Errorf("%s: callback %q, %v; want one with %q", name, back, err, row.want)
		}
	}
	back, err := new(oauthtest.Browser).Visit(t.Context(), as.URL+"/authorize?client_id=c&redirect_uri=http://evil.example/")
	if err == nil {
		t.Errorf("a redirect URI that is not registered leads to %s", back)
	}
	code, _ := url.Parse(authorize(t, as, rs.URL, challenge))
	got := post(t, as.URL+"/token", url.Values{"grant_type": {"authorization_code"}, "client_id": {"c"}, "redirect_uri": {redirect},
		"code": {code.Query().Get("code")}, "code_verifier": {"wrong"}, "resource": {rs.URL}})
	if got["error"] != "invalid_grant" {
		t.Errorf("a wrong verifier = %v", got)
	}
}

func authorize(t *testing.T, as *oauthtest.Server, resource, challenge string) string {
	t.Helper()
	q := url.Values{"response_type": {"code"}, "client_id": {"c"}, "redirect_uri": {redirect}, "state": {"s"},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "resource": {resource}}
	back, err := new(oauthtest.Browser).Visit(t.Context(), as.URL+"/authorize?"+q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestStepUpAndSecrets(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{OneLive: true})
	rs := oauthtest.Protect(t, hello, oauthtest.ResourceConfig{Beside: true, Need: func(_ *http.Request, body []byte) string {
		return "read write"
	}}, as)
	as.Add(oauthtest.Client{ID: "robot", Secret: "s%&+", GrantTypes: []string{"client_credentials"}})
	token := func(scopes ...string) string {
		config := clientcredentials.Config{ClientID: "robot", ClientSecret: "s%&+", TokenURL: as.URL + "/token", Scopes: scopes,
			EndpointParams: url.Values{"resource": {rs.URL}}, AuthStyle: oauth2.AuthStyleInHeader}
		token, err := config.Token(context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: once}))
		if err != nil {
			t.Fatal(err)
		}
		return token.AccessToken
	}
	read := token("read")
	if resp := get(t, rs.URL, read); resp.status != 403 || !strings.Contains(resp.challenge, `error="insufficient_scope", scope="read write"`) {
		t.Errorf("with too few scopes: %+v", resp)
	}
	both := token("read", "write")
	if resp := get(t, rs.URL, both); resp.body != "hello" {
		t.Errorf("with both scopes: %+v", resp)
	}
	if resp := get(t, rs.URL, read); resp.status != 401 {
		t.Errorf("the older token lives on: %+v", resp)
	}
	if resp := get(t, rs.URL+"?access_token="+both, both); resp.status != 401 || rs.Counts().InQuery != 1 {
		t.Errorf("with a token in the URL: %+v", resp)
	}
	if got := post(t, as.URL+"/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {"robot"}, "client_secret": {"s%&+"}}); got["error"] != "invalid_client" {
		t.Errorf("the secret in the form, where the header was agreed = %v", got)
	}
}

func TestPlacesAndStandIns(t *testing.T) {
	t.Parallel()
	as := oauthtest.New(t, oauthtest.Config{
		WellKnown: []string{oauthtest.OpenIDMetadata},
		Instead:   map[string]http.Handler{"/register": oauthtest.Refuse(403, "access_denied", "closed")},
		Metadata:  func(doc map[string]any) { doc["code_challenge_methods_supported"] = []string{"plain"} },
	})
	rs := oauthtest.Protect(t, hello, oauthtest.ResourceConfig{Path: "/", Places: []string{oauthtest.AtRoot}}, as)
	for at, want := range map[string]int{
		as.URL + "/.well-known/oauth-authorization-server": 404,
		as.URL + "/.well-known/openid-configuration":       200,
		rs.URL + ".well-known/oauth-protected-resource":    200,
		rs.URL + "about-this-resource":                     404,
	} {
		if got := get(t, at, ""); got.status != want {
			t.Errorf("GET %s = %+v, want %d", at, got, want)
		}
	}
	if got := post(t, as.URL+"/register", nil); got["error"] != "access_denied" || as.Counts().Registrations != 1 {
		t.Errorf("registration = %v, counted %d times", got, as.Counts().Registrations)
	}
}

func login(t *testing.T, config *oauth2.Config, resource string) *oauth2.Token {
	t.Helper()
	verifier := oauth2.GenerateVerifier()
	target := oauth2.SetAuthURLParam("resource", resource)
	back, err := new(oauthtest.Browser).Visit(t.Context(), config.AuthCodeURL("s", oauth2.S256ChallengeOption(verifier), target))
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(back)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, &http.Client{Transport: once})
	token, err := config.Exchange(ctx, u.Query().Get("code"), oauth2.VerifierOption(verifier), target)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func registered(t *testing.T, as *oauthtest.Server) string {
	t.Helper()
	req, err := http.NewRequest("POST", as.URL+"/register",
		strings.NewReader(`{"redirect_uris":["`+redirect+`"],"token_endpoint_auth_method":"none","grant_types":["authorization_code","refresh_token"]}`))
	if err != nil {
		t.Fatal(err)
	}
	resp := do(t, req)
	var client oauthtest.Client
	if err := json.Unmarshal([]byte(resp.body), &client); err != nil || resp.status != 201 {
		t.Fatalf("registration: %+v, %v", resp, err)
	}
	return client.ID
}

var once = &http.Transport{DisableKeepAlives: true}

type response struct {
	status          int
	challenge, body string
}

func get(t *testing.T, at, token string) response {
	t.Helper()
	req, err := http.NewRequest("GET", at, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	return do(t, req)
}

func getJSON(t *testing.T, at string, into any) {
	t.Helper()
	resp := get(t, at, "")
	if err := json.Unmarshal([]byte(resp.body), into); err != nil {
		t.Fatalf("GET %s: %+v: %v", at, resp, err)
	}
}

func post(t *testing.T, at string, form url.Values) map[string]any {
	t.Helper()
	req, err := http.NewRequest("POST", at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	doc := map[string]any{}
	if resp := do(t, req); resp.body != "" {
		if err := json.Unmarshal([]byte(resp.body), &doc); err != nil {
			t.Fatalf("POST %s: %+v: %v", at, resp, err)
		}
	}
	return doc
}

func do(t *testing.T, req *http.Request) response {
	t.Helper()
	resp, err := once.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, resp.Header.Get("WWW-Authenticate"), string(body)}
}
