package mcpauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// guardTimeout is for one request of a login, answer included.
	guardTimeout = 30 * time.Second

	// guardBody is the most that an answer may have. Metadata takes a few KiB.
	guardBody = 1 << 20
)

// newGuard returns the client for all requests of a login that go where a
// server said: metadata, registration, tokens. A server that lies could
// otherwise have this program ask, and post, inside its own network ("Security
// Best Practices" of the MCP specification, server-side request forgery).
//
// It refuses
//   - URLs without https, save those of loopback, and URLs with a user name;
//   - addresses that are loopback, private, link-local (the metadata services
//     of clouds), shared (RFC 6598), multicast or unspecified. They are
//     looked at when a connection is made, after the name was resolved;
//   - redirects from https to http, more than five of them, and any redirect
//     of a request that has a body, since that holds secrets.
//
// The host of serverURL was named by the person, so it may have any address;
// if it is loopback, all of loopback may be asked. allowHosts names others, of
// a corporate network: "sso.corp.example" may have any address,
// "http://sso:8080" may be asked without https besides.
//
// The client has its own connections; CloseIdleConnections ends them. If base
// is nil, it is like http.DefaultClient. Of a base client, Transport, Timeout
// and CheckRedirect count, and what the guard can do depends on its Transport:
//   - an *http.Transport is copied. Its DialContext is asked as before, and a
//     connection that leads where none may lead is closed before it is used;
//   - a proxy resolves names by itself. Its own address is not judged, and for
//     requests that go by it only addresses written in the URL are: a name that
//     leads into the network of the proxy is the proxy's to refuse;
//   - any other http.RoundTripper connects by itself, so the same holds.
func newGuard(base *http.Client, serverURL string, allowHosts []string) (*http.Client, error) {
	if base == nil {
		base = http.DefaultClient
	}
	server, err := url.Parse(serverURL)
	if err != nil {
		return nil, err
	}
	g := &guard{hosts: []string{hostOf(server)}, loopback: isLoopback(hostOf(server))}
	for _, entry := range allowHosts {
		if !strings.Contains(entry, "://") {
			g.hosts = append(g.hosts, canonical(strings.Trim(entry, "[]")))
			continue
		}
		u, err := url.Parse(entry)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("allowed host %q: it is neither a name nor an origin as http://sso:8080", entry)
		}
		g.hosts = append(g.hosts, hostOf(u))
		g.origins = append(g.origins, u.Scheme+"://"+strings.ToLower(u.Host))
	}
	g.next = base.Transport
	if g.next == nil {
		g.next = http.DefaultTransport
	}
	if t, ok := g.next.(*http.Transport); ok {
		own := t.Clone()
		if t == http.DefaultTransport {
			own.DialContext = nil // so that ours refuses before it connects
		}
		g.guardTransport(own)
		g.next = own
	}
	client := &http.Client{Transport: g, Timeout: base.Timeout}
	if client.Timeout == 0 {
		client.Timeout = guardTimeout
	}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0]
		switch {
		case first.Method != http.MethodGet && first.Method != http.MethodHead:
			return fmt.Errorf("%s redirects a %s request, whose body is not for others", first.URL.Host, first.Method)
		case len(via) > 5:
			return errors.New("more than 5 redirects")
		case via[len(via)-1].URL.Scheme == "https" && req.URL.Scheme != "https":
			return fmt.Errorf("%s redirects from https to %s", via[len(via)-1].URL.Host, req.URL.Scheme)
		case base.CheckRedirect != nil:
			return base.CheckRedirect(req, via)
		}
		return nil
	}
	return client, nil
}

// A guard sends requests that may be sent. See [newGuard].
type guard struct {
	next     http.RoundTripper
	hosts    []string // may have any address
	origins  []string // may be asked without https
	loopback bool     // loopback may be asked

	proxies sync.Map // the addresses of proxies in use, as they are dialled
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := g.checkURL(req.URL); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	resp, err := g.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = http.MaxBytesReader(nil, resp.Body, guardBody)
	return resp, nil
}

// CloseIdleConnections is what [http.Client.CloseIdleConnections] calls.
func (g *guard) CloseIdleConnections() {
	if closer, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

func (g *guard) checkURL(u *url.URL) error {
	host := hostOf(u)
	switch {
	case u.User != nil:
		return fmt.Errorf("%s: the URL has a user name in it", u.Host)
	case u.Scheme == "https":
	case u.Scheme == "http" && (isLoopback(host) || slices.Contains(g.origins, "http://"+strings.ToLower(u.Host))):
	default:
		return fmt.Errorf("%s://%s: a login needs https", u.Scheme, u.Host)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.checkAddr(host, addr)
	}
	if isLoopback(host) && !g.mayHaveAnyAddress(host) && !g.loopback {
		return blocked(host, "loopback")
	}
	return nil
}

// checkAddr says whether the host may be asked at an address.
func (g *guard) checkAddr(host string, addr netip.Addr) error {
	kind := addrKind(addr)
	if kind == "" || g.mayHaveAnyAddress(host) || kind == "loopback" && g.loopback {
		return nil
	}
	if host == addr.String() {
		return blocked(host, kind)
	}
	return blocked(host+" ("+addr.String()+")", kind)
}

func (g *guard) mayHaveAnyAddress(host string) bool { return slices.Contains(g.hosts, host) }

func blocked(host, kind string) error {
	return fmt.Errorf("%s is a %s address: a login goes there only if the host is named in AllowHosts", host, kind)
}

// guardTransport has a transport look at where its connections lead.
func (g *guard) guardTransport(t *http.Transport) {
	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(req *http.Request) (*url.URL, error) {
			u, err := proxy(req)
			if u != nil {
				g.proxies.Store(dialled(u), true)
			}
			return u, err
		}
	}
	//lint:ignore SA1019 a program may have set them all the same
	dial, dialTLS := t.Dial, t.DialTLS
	switch {
	case t.DialContext != nil:
		t.DialContext = g.lookingAt(t.DialContext)
	case dial != nil:
		t.DialContext = g.lookingAt(withContext(dial))
	default:
		t.DialContext = g.dial
	}
	switch {
	case t.DialTLSContext != nil:
		t.DialTLSContext = g.lookingAt(t.DialTLSContext)
	case dialTLS != nil:
		t.DialTLSContext = g.lookingAt(withContext(dialTLS))
	}
}

func withContext(dial func(network, address string) (net.Conn, error)) dialFunc {
	return func(_ context.Context, network, address string) (net.Conn, error) { return dial(network, address) }
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// lookingAt closes connections that lead where none may lead.
func (g *guard) lookingAt(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := g.checkDialled(address, conn.RemoteAddr().String()); err != nil {
			conn.Close()
			return nil, err
		}
		return conn, nil
	}
}

// dial refuses an address before the first packet is sent to it.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{
		Timeout:   guardTimeout,
		KeepAlive: guardTimeout,
		Control:   func(_, remote string, _ syscall.RawConn) error { return g.checkDialled(address, remote) },
	}
	return dialer.DialContext(ctx, network, address)
}

// checkDialled says whether a connection to address may lead to remote.
func (g *guard) checkDialled(address, remote string) error {
	if _, ok := g.proxies.Load(address); ok {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	to, err := netip.ParseAddrPort(remote)
	if err != nil {
		// A connection of another kind, as a pipe in a test, leads nowhere that
		// could be judged.
		return nil
	}
	return g.checkAddr(canonical(host), to.Addr())
}

// dialled returns the address that net/http dials for a proxy.
func dialled(proxy *url.URL) string {
	port := proxy.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}[proxy.Scheme]
	}
	return net.JoinHostPort(proxy.Hostname(), port)
}

func hostOf(u *url.URL) string { return canonical(u.Hostname()) }

func canonical(host string) string { return strings.TrimSuffix(strings.ToLower(host), ".") }

// isLoopback says whether a host is loopback by its name or address alone
// (RFC 6761 section 6.3).
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addrKind(addr) == "loopback"
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052: the last four bytes are an IPv4 address
	sixToFour = netip.MustParsePrefix("2002::/16")    // RFC 3056: bytes 2 to 5 are one
)

// addrRanges are those that package netip does not know.
var addrRanges = []struct {
	prefix netip.Prefix
	kind   string
}{
	{netip.MustParsePrefix("100.64.0.0/10"), "shared (CGNAT)"}, // RFC 6598
	{netip.MustParsePrefix("fec0::/10"), "private"},            // RFC 3879
	{netip.MustParsePrefix("64:ff9b:1::/48"), "private"},       // RFC 8215
	{netip.MustParsePrefix("0.0.0.0/8"), "reserved"},           // RFC 1122
	{netip.MustParsePrefix("192.0.0.0/24"), "reserved"},        // RFC 6890
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"},         // RFC 1112
}

// addrKind says in which way an address is not one of the open Internet, or "".
func addrKind(addr netip.Addr) string {
	addr = addr.Unmap().WithZone("")
	if nat64.Contains(addr) {
		b := addr.As16()
		return addrKind(netip.AddrFrom4([4]byte(b[12:16])))
	}
	if sixToFour.Contains(addr) {
		b := addr.As16()
		return addrKind(netip.AddrFrom4([4]byte(b[2:6])))
	}
	switch {
	case addr.IsLoopback():
		return "loopback"
	case addr.IsPrivate():
		return "private"
	case addr.IsLinkLocalUnicast():
		return "link-local"
	case addr.IsMulticast():
		return "multicast"
	case addr.IsUnspecified():
		return "reserved"
	}
	for _, r := range addrRanges {
		if r.prefix.Contains(addr) {
			return r.kind
		}
	}
	return ""
}
