package mcptool

import (
	"errors"
	"net/http"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Transport says how a remote server is spoken to.
type Transport string

// The transports of remote servers.
const (
	StreamableHTTP Transport = "http" // specification 2025-03-26 and later
	SSE            Transport = "sse"  // HTTP with SSE, specification 2024-11-05
)

// A Need says what becomes of a run when a server cannot be had.
type Need int

// What becomes of a run when a server cannot be had.
const (
	Required Need = iota // it ends before the model is called
	Optional             // it goes on without the server's tools, and an event says so
	Lazy                 // as Optional; a server whose tools are known from before is started by the first call
)

// Auth gives requests to a remote server their credentials. Package mcpauth has
// implementations. It must be safe for concurrent use. If it also has the method
//
//	Answered(req *http.Request, resp *http.Response) (again bool)
//
// it is told of every response, before Refused is. With true, the request is
// sent again, authorized anew, and Refused is not told; that happens once, and
// once more after Refused has brought other credentials.
type Auth interface {
	// Authorize sets the credentials on a request, if there are any yet. It is
	// called for every request, also for one that is sent again.
	Authorize(req *http.Request) error

	// Refused is told that the server answered req with status 401 or 403. A
	// nil error says that the request is to be sent again, once; another says
	// why there is no sense in it. It leaves the body of resp alone. It may
	// take as long as a person needs to log in.
	//
	// An error with a method NeedsLogin() bool that returns true says that a
	// person has to log in first.
	Refused(req *http.Request, resp *http.Response) error
}

// An answerer is an Auth that wants to see every response, as package mcpauth
// does for the nonces of DPoP (RFC 9449 section 9).
type answerer interface {
	// Answered is told of a response to req. It returns true if req was refused
	// only for want of something that the response brings, and is to be sent
	// again, authorized anew. Refused is not told then.
	Answered(req *http.Request, resp *http.Response) (again bool)
}

// needsLogin reports whether err says that a person has to log in.
func needsLogin(err error) bool {
	var e interface{ NeedsLogin() bool }
	return errors.As(err, &e) && e.NeedsLogin()
}

var (
	// errNotSent is in the error of a request that the server cannot have worked
	// on: it never left, nobody took the connection, or the server refused it
	// unread, as it does with 404 for a session that it does not know. Such a
	// request is sent again on a new session. The cause of a link's end is never
	// one, since all requests under way fail with it.
	errNotSent = errors.New("the request was not sent")

	// errSessionLost ends a link whose server does not know the session any
	// more.
	errSessionLost = errors.New("the server does not know the session any more")

	// errTrySSE is in the error of a link that the server speaks no streamable
	// HTTP on: HTTP with SSE is to be tried (specification 2025-11-25,
	// "Transports: Backwards Compatibility").
	errTrySSE = errors.New("the server speaks no streamable HTTP")
)

// A link is a connection to a server that we look after. The SDK reads and
// writes it, by way of a tap. What goes wrong with one request is the error
// of the response to it, so that the session lives on; Read fails only when the
// link has ended, and ended tells why from then on.
//
// The context of Write is that of the call behind the message, whose clock
// pauseClock stops. A link lives on when the context in which it was opened has
// ended. Who opened it closes it, also when the handshake fails.
type link interface {
	mcp.Transport
	mcp.Connection

	// ended returns why the link ended, or nil.
	ended() error

	// end notes why the link ends, unless that is known, and returns why.
	end(cause error) error

	// lastWords returns what the server said last, for the end of an error, or
	// nothing.
	lastWords() string

	// list returns what is known of the server's tools on this link.
	list() *toolList
}
