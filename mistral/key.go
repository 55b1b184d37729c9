package mistral

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"unicode"
)

// A Key is an API key. It does not show itself: printing it, logging it or
// encoding it as JSON gives [redacted]. To print it after all, convert it to
// string. (Package fmt calls no methods on what an unexported field holds, so
// keep a [Client] by pointer in a struct that is ever printed.)
type Key string

const redacted = "[redacted]"

// String returns "[redacted]".
func (Key) String() string { return redacted }

// GoString returns "[redacted]".
func (Key) GoString() string { return redacted }

// Format writes "[redacted]" whatever the verb.
func (Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue returns "[redacted]".
func (Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns "[redacted]".
func (Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns "[redacted]" as a JSON string.
func (Key) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// hideIn replaces the key in text.
func (k Key) hideIn(text []byte) []byte {
	if len(k) < 8 { // it is no secret, and may occur in any text
		return text
	}
	return bytes.ReplaceAll(text, []byte(k), []byte(redacted))
}

const (
	ownOrigin  = "https://api.mistral.ai"
	keyEnv     = "MISTRAL_API_KEY"
	baseURLEnv = "MISTRAL_BASE_URL"
)

// ErrNoKey is returned before any request to Mistral's own host when there is
// no key.
var ErrNoKey = errors.New("no API key: set " + keyEnv + " or Client.APIKey, or point " + baseURLEnv + " or Client.BaseURL to a server that needs none")

// target returns where requests go and the key that goes along. A key goes to
// Mistral's own host, or to the base URL that was set in the same place.
func (c *Client) target() (*url.URL, Key, error) {
	envKey := Key(os.Getenv(keyEnv))
	source, text := "Client.BaseURL", c.BaseURL
	if text == "" {
		source, text = baseURLEnv, os.Getenv(baseURLEnv)
	}
	if text == "" {
		text = ownOrigin
	}
	base, err := parseBase(text)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", source, err)
	}
	key := c.APIKey
	own := base.Scheme+"://"+strings.TrimSuffix(base.Host, ":443") == ownOrigin
	switch {
	case own && key == "":
		key = envKey
	case source == baseURLEnv && !own && key == "":
		key = envKey
	case source == baseURLEnv && !own && key != envKey:
		return nil, "", fmt.Errorf("Client.APIKey is not sent to the server of %s, which is set in the environment: set Client.BaseURL beside it, or %s beside %s", baseURLEnv, keyEnv, baseURLEnv)
	}
	if own && key == "" {
		return nil, "", ErrNoKey
	}
	if strings.ContainsFunc(string(key), unicode.IsControl) {
		return nil, "", errors.New("the API key has a control character in it, such as the end of a line of the file that it is from")
	}
	return base, key, nil
}

// parseBase returns the base URL without the /v1 that all paths start with. Its
// errors do not quote the text, which may hold a password.
func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Opaque != "" {
		return nil, errors.New("want a URL like https://host or http://host:port/path")
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("want a URL without query and fragment")
	}
	u.Host = strings.ToLower(u.Host)
	u.RawPath = strings.TrimRight(strings.TrimSuffix(strings.TrimRight(u.EscapedPath(), "/"), "/v1"), "/")
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return nil, errors.New("want a URL with a path that is well escaped")
	}
	return u, nil
}
