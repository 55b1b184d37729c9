package mcpauth

import "context"

// A Store keeps what a login leaves behind: tokens and client registrations.
// It holds secrets, so an implementation keeps them from other people.
// All methods are safe for concurrent use.
//
// Keys are made by this package: they hold the URL of a server and of an
// authorization server, so an implementation that makes file names of them has
// to encode them. The data is small (a few KiB) and is text.
type Store interface {
	// Load returns what was last saved under key, or nil if there is nothing.
	Load(ctx context.Context, key string) ([]byte, error)

	// Save replaces what is kept under key, at once: another process sees all
	// of the old data or all of the new. When Save has returned, the data
	// survives the end of this process.
	Save(ctx context.Context, key string, data []byte) error

	// Delete forgets key. To delete what is not there is no error.
	Delete(ctx context.Context, key string) error

	// Lock waits until nobody else holds key, in this process or another, and
	// holds it until unlock is called, which happens once. It returns the error
	// of ctx if that ends first, and then holds nothing. A process that dies
	// holds nothing any more.
	Lock(ctx context.Context, key string) (unlock func(), err error)
}

// A Prompter sends a person to the authorization server and brings back where
// the server sent them afterwards. [Loopback] opens a browser, [Paste] works
// where there is none.
//
// It carries messages only: what is in the answer is checked by this package.
type Prompter interface {
	// Begin gets ready for one login. The redirect URI is the one that was
	// registered before, which the prompt should use again; if empty, there is
	// none yet. Where it cannot be used any more (its port is taken), the
	// prompt has another, and the client is registered again. The caller
	// closes the prompt.
	Begin(ctx context.Context, redirectURI string) (Prompt, error)
}

// A Prompt is one login of a person, between Begin and Close.
type Prompt interface {
	// RedirectURI is where the authorization server sends the person back to.
	// It does not change.
	RedirectURI() string

	// Ask sends the person to authURL, which carries the parameter state, and
	// resource and scope to say what the login is for, and waits for them to come back. It returns the whole URL that they came
	// back with, or the error of ctx if that ends first. It is called at most
	// once.
	Ask(ctx context.Context, authURL string) (callbackURL string, err error)

	// Close releases what Begin took, such as a port. It may be called more
	// than once.
	Close() error
}
