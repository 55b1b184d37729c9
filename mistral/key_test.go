package mistral_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/tramontane-dev/tramontane/mistral"
)

const (
	secret = "sk-0123456789abcdef"
	bearer = "Bearer " + secret
)

// A roundTripper answers requests without a network.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, contentType, body string) *http.Response {
	return &http.Response{
		StatusCode: status, Status: fmt.Sprint(status, " ", http.StatusText(status)),
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

func TestWhereTheKeyGoes(t *testing.T) {
	const own, other = "https://api.mistral.ai", "http://localhost:8787"
	tests := []struct {
		name           string
		client         mistral.Client
		envKey, envURL string
		wantURL        string
		wantAuth       string
		wantErr        string
	}{
		{name: "environment", envKey: secret, wantURL: own, wantAuth: bearer},
		{name: "code", client: mistral.Client{APIKey: secret}, envKey: "other", wantURL: own, wantAuth: bearer},
		{name: "key with the end of its line", envKey: secret + "\n", wantErr: "control character"},
		{name: "no key", wantErr: "MISTRAL_API_KEY"},
		{name: "no key for own URL", client: mistral.Client{BaseURL: own}, wantErr: "MISTRAL_API_KEY"},
		{name: "own URL in code", client: mistral.Client{BaseURL: own + "/v1/"}, envKey: secret, wantURL: own, wantAuth: bearer},
		{name: "own URL with port", client: mistral.Client{BaseURL: "https://API.mistral.ai:443"}, envKey: secret, wantURL: "https://api.mistral.ai:443", wantAuth: bearer},
		{name: "own host without TLS", client: mistral.Client{BaseURL: "http://api.mistral.ai"}, envKey: secret, wantURL: "http://api.mistral.ai"},
		{name: "look-alike host", client: mistral.Client{BaseURL: own + ".example.com"}, envKey: secret, wantURL: own + ".example.com"},
		{name: "own host as user", client: mistral.Client{BaseURL: own + "@example.com"}, envKey: secret, wantURL: own + "@example.com", wantAuth: "Basic YXBpLm1pc3RyYWwuYWk6"},
		{name: "other URL in code", client: mistral.Client{BaseURL: other}, envKey: secret, wantURL: other},
		{name: "other URL and key in code", client: mistral.Client{BaseURL: other, APIKey: secret}, envKey: "other", wantURL: other, wantAuth: bearer},
		{name: "URL in code and in environment", client: mistral.Client{BaseURL: other}, envURL: "http://localhost:1", envKey: secret, wantURL: other},
		{name: "both in environment", envURL: other + "/v1", envKey: secret, wantURL: other, wantAuth: bearer},
		{name: "URL alone in environment", envURL: other, wantURL: other},
		{name: "key in code, URL in environment", client: mistral.Client{APIKey: secret}, envURL: other, wantErr: "Client.APIKey is not sent"},
		{name: "same key in both", client: mistral.Client{APIKey: secret}, envURL: other, envKey: secret, wantURL: other, wantAuth: bearer},
		{name: "own URL in environment", client: mistral.Client{APIKey: secret}, envURL: own, wantURL: own, wantAuth: bearer},
		{name: "path", client: mistral.Client{BaseURL: other + "/a%2Fb/"}, wantURL: other + "/a%2Fb"},
		{name: "v1 inside", client: mistral.Client{BaseURL: other + "/v1/x"}, wantURL: other + "/v1/x"},
		{name: "no URL", client: mistral.Client{BaseURL: "localhost:8787"}, wantErr: "Client.BaseURL: want a URL"},
		{name: "no URL in environment", envURL: "://user:" + secret + "@x", wantErr: "MISTRAL_BASE_URL: want a URL"},
		{name: "bad port", client: mistral.Client{BaseURL: "http://user:" + secret + "/x@host"}, wantErr: "want a URL"},
		{name: "query", client: mistral.Client{BaseURL: other + "?key=" + secret}, wantErr: "without query"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("MISTRAL_API_KEY", test.envKey)
			t.Setenv("MISTRAL_BASE_URL", test.envURL)
			var gotURL, gotAuth string
			test.client.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				gotURL, gotAuth = r.URL.String(), r.Header.Get("Authorization")
				return answer(200, "application/json", `{"data":[]}`), nil
			})}
			_, err := test.client.Models(t.Context())
			if test.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), test.wantErr) || strings.Contains(err.Error(), secret) {
					t.Errorf("error is %v, want one about %q", err, test.wantErr)
				}
				if gotURL != "" {
					t.Errorf("a request went to %s", gotURL)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if gotURL != test.wantURL+"/v1/models" || gotAuth != test.wantAuth {
				t.Errorf("request to %s with %q, want %s with %q", gotURL, gotAuth, test.wantURL+"/v1/models", test.wantAuth)
			}
		})
	}
}

func TestNoKeyIsItsOwnError(t *testing.T) {
	t.Setenv("MISTRAL_API_KEY", "")
	t.Setenv("MISTRAL_BASE_URL", "")
	if _, err := new(mistral.Client).Models(t.Context()); !errors.Is(err, mistral.ErrNoKey) {
		t.Errorf("error is %v, want ErrNoKey", err)
	}
}

func TestKeyIsNotShown(t *testing.T) {
	client := mistral.Client{APIKey: secret}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%s", "%x", "%d"} {
		fmt.Fprintf(&b, verb, client)
		fmt.Fprintf(&b, verb, &client)
		fmt.Fprintf(&b, verb, client.APIKey)
		fmt.Fprintf(&b, verb, []mistral.Key{client.APIKey})
	}
	fmt.Fprintln(&b, client, client.APIKey, client.APIKey.String())
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("client", "client", client, "pointer", &client, "key", client.APIKey, slog.Group("g", "key", client.APIKey))
	}
	enc := json.NewEncoder(&b)
	if err := errors.Join(enc.Encode(client), enc.Encode(&client)); err != nil {
		t.Fatal(err)
	}
	hexed := fmt.Sprintf("%x", secret)
	if got := b.String(); strings.Contains(got, secret) || strings.Contains(got, hexed) || !strings.Contains(got, "[redacted]") {
		t.Errorf("the key shows in %s", got)
	}
}

func TestErrorsDoNotShowTheKey(t *testing.T) {
	base := "http://someone:" + secret + "@localhost:1"
	for name, respond := range map[string]roundTripper{
		"echo": func(r *http.Request) (*http.Response, error) {
			return answer(401, "application/json", `{"message":"invalid key `+r.Header.Get("Authorization")+`"}`), nil
		},
		"connection": func(r *http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF },
		"redirect": func(r *http.Request) (*http.Response, error) {
			resp := answer(307, "text/plain", "")
			resp.Header.Set("Location", base+"/other?key="+secret)
			resp.Request = r
			return resp, nil
		},
		"event": func(r *http.Request) (*http.Response, error) {
			return answer(200, "text/event-stream", `data: {"error":{"message":"invalid key `+r.Header.Get("Authorization")+`"}}`), nil
		},
		"no stream": func(r *http.Request) (*http.Response, error) { return answer(200, "text/html", secret), nil },
	} {
		client := &mistral.Client{BaseURL: base, APIKey: secret, HTTPClient: &http.Client{Transport: respond}, MaxRetries: -1}
		_, err := client.Start(t.Context(), &mistral.ConversationRequest{})
		_, streamErr := collect(t, client.StreamStart(t.Context(), &mistral.ConversationRequest{}))
		var chatErr error
		for _, chatErr = range client.StreamChat(t.Context(), &mistral.ChatRequest{}) {
		}
		for _, err := range []error{err, streamErr, chatErr} {
			if err == nil {
				t.Errorf("%s: no error", name)
			}
			if text := fmt.Sprintf("%v %+v %s", err, err, body(err)); strings.Contains(text, secret) || strings.Contains(text, "someone") {
				t.Errorf("%s: %s", name, text)
			}
		}
	}
}

func body(err error) []byte {
	if e := new(mistral.Error); errors.As(err, &e) {
		return e.Body
	}
	return nil
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	requests := 0
	client := serveFunc(t, func(w http.ResponseWriter, r *http.Request) {
		requests++
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	})
	client.APIKey = secret
	_, err := client.Models(t.Context())
	e := new(mistral.Error)
	if !errors.As(err, &e) || e.StatusCode != 307 || !strings.Contains(e.Message, "/elsewhere") {
		t.Errorf("error is %v", err)
	}
	if requests != 1 {
		t.Errorf("%d requests, want 1", requests)
	}
}
