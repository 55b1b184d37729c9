package mcpauth

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestAddrKind(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"127.0.0.1":           "loopback",
		"127.9.9.9":           "loopback",
		"::1":                 "loopback",
		"::ffff:127.0.0.1":    "loopback",
		"64:ff9b::7f00:1":     "loopback",
		"2002:7f00:1::":       "loopback",
		"10.1.2.3":            "private",
		"172.31.0.1":          "private",
		"192.168.0.1":         "private",
		"::ffff:192.168.0.1":  "private",
		"fd00::1":             "private",
		"fec0::1":             "private",
		"64:ff9b:1::1":        "private",
		"169.254.169.254":     "link-local",
		"fe80::1%eth0":        "link-local",
		"64:ff9b::a9fe:a9fe":  "link-local",
		"100.64.0.1":          "shared (CGNAT)",
		"100.127.255.255":     "shared (CGNAT)",
		"224.0.0.1":           "multicast",
		"ff02::1":             "multicast",
		"0.0.0.0":             "reserved",
		"0.1.2.3":             "reserved",
		"::":                  "reserved",
		"255.255.255.255":     "reserved",
		"192.0.0.8":           "reserved",
		"8.8.8.8":             "",
		"172.32.0.1":          "",
		"100.128.0.1":         "",
		"2606:4700::1111":     "",
		"64:ff9b::808:808":    "",
		"::ffff:8.8.8.8":      "",
		"2002:808:808::1":     "",
		"198.18.0.1":          "", // what some VPN clients answer for every name
		"2001:4860:4860::888": "",
	} {
		if got := addrKind(netip.MustParseAddr(in)); got != want {
			t.Errorf("addrKind(%s) = %q, want %q", in, got, want)
		}
	}
}

// TestGuardURL asks for URLs that must not be asked for, or that are refused
// when the connection is made; nothing here leaves the machine.
func TestGuardURL(t *testing.T) {
	t.Parallel()
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	port := plain.URL[strings.LastIndex(plain.URL, ":"):]
	const public = "https://mcp.example/mcp"
	for name, row := range map[string]struct {
		server string
		allow  []string
		url    string
		want   string // in the error; "" if the request is sent
	}{
		"http":                    {public, nil, "http://auth.example/", "needs https"},
		"another scheme":          {public, nil, "ftp://auth.example/", "needs https"},
		"a user name":             {public, nil, "https://auth.example@evil.example/", "user name"},
		"loopback":                {public, nil, plain.URL, "127.0.0.1 is a loopback address"},
		"loopback by name":        {public, nil, "http://localhost" + port, "localhost is a loopback address"},
		"loopback by any name":    {public, nil, "http://a.localhost" + port, "a.localhost is a loopback address"},
		"private":                 {public, nil, "https://10.0.0.1/", "10.0.0.1 is a private address"},
		"the metadata of a cloud": {public, nil, "https://169.254.169.254/", "link-local"},
		"mapped":                  {public, nil, "https://[::ffff:10.0.0.1]/", "private"},
		"private for loopback":    {"http://127.0.0.1:1/", nil, "https://10.0.0.1/", "private"},
		"http to the server":      {"http://mcp.example/", nil, "http://mcp.example/", "needs https"},
		"http to a named host":    {public, []string{"auth.example"}, "http://auth.example/", "needs https"},

		"loopback for loopback":     {"http://localhost:1/mcp", nil, plain.URL, ""},
		"localhost for loopback":    {"http://127.0.0.1:1/mcp", nil, "http://localhost" + port, ""},
		"loopback that was allowed": {public, []string{"127.0.0.1"}, plain.URL, ""},
		"localhost with a dot":      {public, []string{"LOCALHOST."}, "http://localhost" + port, ""},
		"an origin":                 {public, []string{"http://127.0.0.1" + port}, plain.URL, ""},
	} {
		client, err := newGuard(nil, row.server, row.allow)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = ask(t, client, row.url)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: err = %v, want %q", name, err, row.want)
		}
	}
	if _, err := newGuard(nil, public, []string{"http://"}); err == nil {
		t.Error("an allowed host without a name is accepted")
	}
}

// A name that leads to a forbidden address is refused when it is dialled,
// whoever dials.
func TestGuardDial(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 10)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Host }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes break off here
	server.StartTLS()
	t.Cleanup(server.Close)
	port := server.URL[strings.LastIndex(server.URL, ":"):]
	rebound := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
	}
	trusting := &tls.Config{InsecureSkipVerify: true}
	for name, base := range map[string]*http.Transport{
		"a dialler":     {DialContext: rebound, TLSClientConfig: trusting},
		"an old one":    {Dial: func(network, address string) (net.Conn, error) { return rebound(t.Context(), network, address) }, TLSClientConfig: trusting},
		"one with TLS":  {DialTLSContext: func(ctx context.Context, n, a string) (net.Conn, error) { return rebound(ctx, n, a) }},
		"that, but old": {DialTLS: func(n, a string) (net.Conn, error) { return rebound(t.Context(), n, a) }},
	} {
		client, err := newGuard(&http.Client{Transport: base}, "https://mcp.example/mcp", nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(t, client, "https://auth.example"+port); err == nil || !strings.Contains(err.Error(), "auth.example (127.0.0.1) is a loopback address") {
			t.Errorf("%s: err = %v, want it refused", name, err)
		}
	}
	select {
	case host := <-reached:
		t.Errorf("a request for %s was sent", host)
	default:
	}
	client, err := newGuard(&http.Client{Transport: &http.Transport{DialContext: rebound, TLSClientConfig: trusting}}, "https://mcp.example/mcp", []string{"Auth.Example"})
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(t, client, "https://auth.example"+port); err != nil {
		t.Errorf("a host that was allowed: %v", err)
	}

	// Our own dialler refuses before it connects, which the error shows.
	client, err = newGuard(nil, "https://mcp.example/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	own := client.Transport.(*guard).next.(*http.Transport)
	var early *net.OpError
	if _, err := own.DialContext(t.Context(), "tcp", "localhost"+port); !errors.As(err, &early) || !strings.Contains(err.Error(), "is a loopback address") {
		t.Errorf("dial localhost: %v, want it refused by the dialler", err)
	}
}

func TestGuardRedirects(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	server := httptest.NewTLSServer(mux)
	t.Cleanup(server.Close)
	plain := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(plain.Close)
	mux.Handle("/once", http.RedirectHandler("/end", http.StatusFound))
	mux.Handle("/end", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "end") }))
	mux.Handle("/loop", http.RedirectHandler("/loop", http.StatusFound))
	mux.Handle("/plain", http.RedirectHandler(plain.URL, http.StatusFound))
	mux.Handle("/inside", http.RedirectHandler("https://10.0.0.1/", http.StatusFound))
	mux.Handle("/token", http.RedirectHandler("/end", http.StatusTemporaryRedirect))
	mux.Handle("/huge", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, guardBody+1)) }))
	client, err := newGuard(server.Client(), server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/once":   "",
		"/loop":   "more than 5 redirects",
		"/plain":  "redirects from https to http",
		"/inside": "10.0.0.1 is a private address",
		"/huge":   "too large",
	} {
		if err := ask(t, client, server.URL+path); want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("GET %s: err = %v, want %q", path, err, want)
		}
	}
	resp, err := client.PostForm(server.URL+"/token", url.Values{"code": {"secret"}})
	if err == nil {
		resp.Body.Close()
		t.Errorf("POST /token: status %s, want the redirect refused", resp.Status)
	}
	client.CloseIdleConnections()
}

// A proxy has whatever address it has; what it is asked for is judged by name.
func TestGuardProxy(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Host
		http.Error(w, "no", http.StatusForbidden)
	}))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	client, err := newGuard(&http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(at)}}, "https://mcp.example/mcp", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(t, client, "https://auth.example/"); err == nil || !strings.Contains(err.Error(), "Forbidden") {
		t.Errorf("err = %v, want that of the proxy", err)
	}
	if err := ask(t, client, "https://10.0.0.1/"); err == nil || !strings.Contains(err.Error(), "private") {
		t.Errorf("err = %v, want it refused", err)
	}
	if host := <-asked; host != "auth.example:443" || len(asked) != 0 {
		t.Errorf("the proxy was asked for %s and %d more", host, len(asked))
	}
}

func ask(t *testing.T, client *http.Client, at string) error {
	t.Helper()
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
