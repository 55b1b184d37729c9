package mcpauth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"slices"
	"time"
)

// The algorithms that are signed with (RFC 7518 section 3.1).
const (
	es256 = "ES256"
	rs256 = "RS256"
)

const (
	// assertionLifetime is how long a client assertion is good: as long as a
	// request takes, on clocks that differ a little.
	assertionLifetime = time.Minute

	// minRSA is what RFC 7518 section 3.3 asks for, in bits.
	minRSA = 2048

	// maxKeyFile is more than any private key has.
	maxKeyFile = 64 << 10
)

// A Key is a private key by which a client proves who it is: it signs a JWT for
// each request of a token ("private_key_jwt", RFC 7523). [LoadKey], [KeyFromEnv]
// and [ParseKey] read one; a key that does not leave its device or service is a
// [crypto.Signer], set in a literal.
//
// It is never saved, and printed, logged and encoded as "[secret]".
type Key struct {
	// Signer has an ECDSA key on the curve P-256, which signs by ES256, or an RSA
	// key of at least 2048 bits, by RS256. Required. It is called for one
	// signature at a time of each request, by any goroutine.
	Signer crypto.Signer

	// ID is the key's name at the authorization server (kid). If empty, it is
	// not named.
	ID string

	// Audience is who the signed JWT is for. If empty, it is the issuer of the
	// authorization server, as current practice wants it. Some want the URL of
	// their token endpoint; then ClientID and ClientIssuer are required, or the
	// MCP server could name one that uses the JWT at the Audience.
	Audience string
}

// LoadKey reads a private key from a PEM file, in PKCS #8, PKCS #1 (RSA) or
// SEC 1 (EC), not encrypted.
func LoadKey(path string) (*Key, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyFile))
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	key, err := ParseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// KeyFromEnv reads a private key from an environment variable, whose value is as
// for [ParseKey].
func KeyFromEnv(name string) (*Key, error) {
	value := os.Getenv(name)
	if value == "" {
		return nil, fmt.Errorf("private key: the environment variable %s is not set", name)
	}
	key, err := ParseKey([]byte(value))
	if err != nil {
		return nil, fmt.Errorf("environment variable %s: %w", name, err)
	}
	return key, nil
}

// ParseKey reads a private key from PEM, as [LoadKey] does. The lines may be
// separated by \n in two characters, as in variables and JSON.
func ParseKey(data []byte) (*Key, error) {
	data = bytes.ReplaceAll(data, []byte(`\n`), []byte("\n"))
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			return nil, errors.New("there is no private key in PEM")
		}
		data = rest
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted, and would need a passphrase")
		default: // parameters of a curve, a certificate
			continue
		}
		switch {
		case block.Headers["DEK-Info"] != "":
			return nil, errors.New("the private key is encrypted, and would need a passphrase")
		case err != nil:
			return nil, errors.New("the private key is malformed")
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return nil, fmt.Errorf("a private key of the type %T does not sign", key)
		}
		k := &Key{Signer: signer}
		if _, err := k.algorithm(); err != nil {
			return nil, err
		}
		return k, nil
	}
}

// algorithm is the one that the key signs by.
func (k *Key) algorithm() (string, error) {
	if k.Signer == nil {
		return "", errors.New("the private key has no signer")
	}
	return algorithmOf(k.Signer.Public())
}

func algorithmOf(public crypto.PublicKey) (string, error) {
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() {
			return es256, nil
		}
		return "", fmt.Errorf("a private key on the curve %s cannot be used: it has to be P-256, or RSA", public.Curve.Params().Name)
	case *rsa.PublicKey:
		if public.N.BitLen() >= minRSA {
			return rs256, nil
		}
		return "", fmt.Errorf("an RSA key of %d bits is too weak: it needs %d", public.N.BitLen(), minRSA)
	}
	return "", fmt.Errorf("a key of the type %T cannot be used: it has to be ECDSA on P-256, or RSA", public)
}

// errAudience says that the JWT could reach a server that it is not for.
var errAudience = errors.New("the Audience of ClientKey needs the ClientID and ClientIssuer that it is for")

// roams reports whether what the key signs is for one authorization server, and
// nobody says which may have it.
func (k *Key) roams(clientID, issuer string) bool {
	return k != nil && k.Audience != "" && (clientID == "" || issuer == "")
}

// fits reports why an authorization server that verifies these algorithms would
// not take the key. If there are none, it did not say which.
func (k *Key) fits(algorithms []string) error {
	algorithm, err := k.algorithm()
	if err == nil && len(algorithms) > 0 && !slices.Contains(algorithms, algorithm) {
		err = fmt.Errorf("the private key signs by %s, and the authorization server verifies only %q", algorithm, printableAll(algorithms))
	}
	return err
}

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// assert adds to a form who sends it (RFC 7523 section 2.2). Each assertion is
// new: an authorization server may refuse to see one twice.
func (k *Key) assert(form url.Values, clientID, issuer string) error {
	if clientID == "" {
		return errors.New("a private key needs the client id that it belongs to")
	}
	header := map[string]any{"typ": "JWT"}
	if k.ID != "" {
		header["kid"] = k.ID
	}
	audience := k.Audience
	if audience == "" {
		audience = issuer
	}
	now := time.Now()
	assertion, err := signJWT(k.Signer, header, map[string]any{
		"iss": clientID,
		"sub": clientID,
		"aud": audience,
		"jti": rand.Text(),
		"iat": now.Unix(),
		"exp": now.Add(assertionLifetime).Unix(),
	})
	if err != nil {
		return fmt.Errorf("sign the client assertion: %w", err)
	}
	// The client is named besides: most servers look there first, and RFC 7521
	// section 4.2 allows it if it is the same.
	form.Set("client_id", clientID)
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	return nil
}

// String returns "[secret]".
func (k Key) String() string { return hidden }

// Format writes what String returns, for every verb.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, hidden) }

// LogValue implements [slog.LogValuer].
func (k Key) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText implements [encoding.TextMarshaler].
func (k Key) MarshalText() ([]byte, error) { return []byte(hidden), nil }
