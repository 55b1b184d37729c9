package mcpauth

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ErrDenied says that the person did not allow the access that was asked for.
var ErrDenied = errors.New("access was denied")

// An Error is what an authorization server answered instead of what it was asked
// for.
type Error struct {
	// Op says what it was asked for, such as "refresh the token".
	Op string

	// Code is its error code, such as "invalid_grant". If zero, it gave none.
	Code string

	// Description is its own explanation, without control characters, cut after
	// a few hundred bytes. If zero, it gave none.
	Description string

	// StatusCode is that of its HTTP answer. If zero, the answer came by way of
	// the browser.
	StatusCode int
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: the authorization server answers", e.Op)
	if e.StatusCode != 0 {
		fmt.Fprintf(&b, " %d", e.StatusCode)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	if e.Description != "" {
		fmt.Fprintf(&b, ": %s", e.Description)
	}
	return b.String()
}

// final reports whether the server decided, so that asking again brings the same
// answer. A page with 403 or 404 may be anybody's: a proxy, a captive portal. A
// proof of a key that is not taken, for its nonce or its time, says nothing of
// what came with it.
func (e *Error) final() bool {
	switch {
	case e.StatusCode < 400 || e.StatusCode >= 500 || e.StatusCode == 408 || e.StatusCode == 429:
		return false
	case slices.Contains([]string{"temporarily_unavailable", "server_error", useNonce, invalidProof}, e.Code):
		return false
	}
	return e.Code != "" || e.StatusCode == 400 || e.StatusCode == 401
}

// hasCode reports whether err is an [Error] with one of the codes.
func hasCode(err error, codes ...string) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, code := range codes {
		if e.Code == code {
			return true
		}
	}
	return false
}

// A NeedsLoginError says that nothing works before a person has logged in.
type NeedsLoginError struct {
	// Server is the URL of the MCP server, without its query.
	Server string

	// Err says why there is no login now: nobody could be asked, or somebody
	// said no ([ErrDenied]), or the login went wrong.
	Err error
}

func (e *NeedsLoginError) Error() string {
	return fmt.Sprintf("%s needs a login: %v", e.Server, e.Err)
}

// Unwrap returns e.Err.
func (e *NeedsLoginError) Unwrap() error { return e.Err }

// NeedsLogin returns true. It lets a package that does not import this one
// recognise the error.
func (e *NeedsLoginError) NeedsLogin() bool { return true }

// printable returns text of a stranger for an error message: one line, without
// what a terminal would act on, not too long.
func printable(s string) string {
	const limit = 300
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r) || r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	if len(s) <= limit {
		return s
	}
	cut := limit
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "..."
}
