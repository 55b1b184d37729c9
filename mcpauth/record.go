package mcpauth

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// A record is what the store has of one server.
type record struct {
	Token *savedToken `json:"token,omitempty"`

	// Clients are the registrations, by issuer: a client of one authorization
	// server is a stranger to another.
	Clients map[string]*registration `json:"clients,omitempty"`
}

type savedToken struct {
	Access  string    `json:"access_token"`
	Refresh string    `json:"refresh_token,omitempty"`
	Expiry  time.Time `json:"expiry,omitzero"`
	Scopes  []string  `json:"scopes,omitempty"`
	From    source    `json:"from"`

	// Key is what the tokens are bound to, as PKCS #8; Bound says that the access
	// token is.
	Key   []byte `json:"dpop_key,omitempty"`
	Bound bool   `json:"dpop,omitempty"`
}

func (r *record) token() *Token {
	if r.Token == nil || r.Token.Access == "" {
		return nil
	}
	saved := r.Token
	t := &Token{Access: Secret(saved.Access), Refresh: Secret(saved.Refresh), Expiry: saved.Expiry, Scopes: saved.Scopes, from: saved.From}
	if len(saved.Key) > 0 {
		key, err := decodeProofKey(saved.Key)
		if err != nil {
			return nil // of no use without
		}
		t.key, t.bound = key, saved.Bound
	}
	return t
}

func (r *record) setToken(t *Token) {
	if t == nil {
		r.Token = nil
		return
	}
	r.Token = &savedToken{string(t.Access), string(t.Refresh), t.Expiry, t.Scopes, t.from, t.key.encode(), t.bound}
}

func (r *record) setClient(issuer string, reg *registration) {
	if reg == nil {
		delete(r.Clients, issuer)
		return
	}
	if r.Clients == nil {
		r.Clients = map[string]*registration{}
	}
	r.Clients[issuer] = reg
}

// issuer is that of the last login, or "".
func (r *record) issuer() string {
	if r.Token == nil {
		return ""
	}
	return r.Token.From.Issuer
}

// load reads the record of the server. What cannot be read is as good as
// nothing: a login makes it new.
func (l *Login) load(ctx context.Context) (*record, error) {
	data, err := l.store.Load(ctx, l.key())
	if err != nil {
		return nil, fmt.Errorf("%s: read the saved login: %w", l.name(), err)
	}
	rec := new(record)
	if data == nil {
		return rec, nil
	}
	if err := json.Unmarshal(data, rec); err != nil {
		l.logger().WarnContext(ctx, "a saved login is malformed and not used", "server", l.name())
		return new(record), nil
	}
	return rec, nil
}

// save writes the record, or deletes it if it is empty. It is called with the
// store's lock of the key held.
func (l *Login) save(ctx context.Context, rec *record) error {
	if rec.Token == nil && len(rec.Clients) == 0 {
		return l.store.Delete(ctx, l.key())
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return err
	}
	return l.store.Save(ctx, l.key(), data)
}

// key is the URL of the server: what is kept is of no use for another.
func (l *Login) key() string { return l.server.String() }
