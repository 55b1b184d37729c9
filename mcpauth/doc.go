// Package mcpauth logs in to MCP servers that are behind OAuth: as a person
// ([Login]), as a person by their sign-in at a company ([Enterprise]), as a
// program with a key or secret of its own ([ClientCredentials]), or as one with
// the identity that its platform gives it ([Workload]). All fit the field Auth of
// a server of package mcptool; this package knows neither that package nor any
// transport.
//
//	login := &mcpauth.Login{
//		Server:   "https://mcp.example.com/mcp",
//		Prompter: &mcpauth.Loopback{}, // opens a browser; &mcpauth.Paste{} where there is none
//	}
//	server := &mcptool.Server{Name: "example", URL: login.Server, Auth: login}
//
// # What happens
//
// The first request goes out bare. When the server refuses it with 401, the login
// asks the server which authorization server it trusts, asks that one what it
// can do, makes itself known there, and sends the person to it. What comes back
// is exchanged for a token. Tokens and registrations are kept in a [Store], by
// server, so that the next program of the same person needs nobody; when the
// token ends it is refreshed. A 403 that asks for more scopes has the person
// asked for these, in addition to what was granted before.
//
// However many goroutines and processes meet a token that is over, one of them
// refreshes it, or has the person asked, and the others get what it got. A person
// who says no is not asked again for a minute, unless by [Login.SignIn].
// Without a [Prompter], or after a no, the error is a [*NeedsLoginError].
//
// A program that has its own way to reach people, such as a web application, uses
// [Login.RequiresAuth], [Login.Begin], [Flow.Exchange] and [Login.SetToken]
// instead of a Prompter. One that serves many people has a Login and a Store for
// each.
//
// # Keys
//
// A client may prove who it is by a private key ([Key]) instead of a secret: it
// signs a short-lived JWT for each request to the authorization server, by ES256
// or RS256. The key is read from a file, from an environment variable, or stays
// where it is behind a [crypto.Signer].
//
// A token may be bound to a key (DPoP), so that it is of no use to whoever steals
// it: each request then has a proof of the key, for this request alone, with the
// last nonce that the server gave. That is so where both servers know of it, where
// the MCP server requires it, or where RequireDPoP does. Each login makes such a
// key; it is kept with the tokens in the [Store], where it is as safe as the
// refresh token is.
//
// # What it keeps to
//
// The authorization chapters of the MCP specifications 2025-11-25 and 2026-07-28,
// and for servers without metadata that of 2025-03-26: OAuth 2.1 with PKCE by
// S256, protected resource metadata (RFC 9728), authorization server metadata
// (RFC 8414, OpenID Connect Discovery), resource indicators in every request
// (RFC 8707), the issuer in answers (RFC 9207), client metadata documents,
// dynamic registration (RFC 7591), revocation (RFC 7009).
//
// The extensions for client credentials (SEP-1046), enterprise-managed
// authorization (SEP-990), DPoP (SEP-1932, RFC 9449) and workload identity
// federation (SEP-1933).
//
// A token goes to the origin of its server and nowhere else, in a header, and
// only to URLs that are https, or on loopback. Requests that a server could steer
// go to public addresses only. [Login.AllowHosts] names the exceptions to both.
// Secrets are in no error, log or printed value of this package; a [Secret] hides itself.
package mcpauth
