package mcpauth_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/tramontane-dev/tramontane/mcpauth"
)

// An authorization server that lets a client come back to one address only
// wants host, port and path as they were registered.
func ExampleLoopback() {
	loopback := mcpauth.Loopback{Host: "localhost", Port: 16010, Path: "/oauth/callback", Open: func(url string) error {
		fmt.Println("the browser opens", url)
		return nil
	}}
	login := &mcpauth.Login{Server: "https://mcp.example.com/mcp", Prompter: loopback}
	fmt.Println(login)
	// Output: login to https://mcp.example.com/mcp
}

// On a machine without a browser, the person opens the page elsewhere and pastes
// where that leads.
func ExamplePaste() {
	ctx := context.Background()
	paste := &mcpauth.Paste{
		In:  strings.NewReader("http://localhost:16010/oauth/callback?code=abc&state=xyz\n"), // leave it out for the terminal
		Out: os.Stdout,
	}
	prompt, err := paste.Begin(ctx, "")
	if err != nil {
		log.Fatal(err)
	}
	defer prompt.Close()
	callback, err := prompt.Ask(ctx, "https://auth.example.com/authorize?state=xyz")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("(pasted)")
	fmt.Println(callback)
	// Output:
	// To log in, open this page in a browser, on any machine:
	//
	//     https://auth.example.com/authorize?state=xyz
	//
	// In the end the browser is sent to http://localhost:16010/oauth/callback, which it may not be able to show.
	// Paste the whole address that it then has: (pasted)
	// http://localhost:16010/oauth/callback?code=abc&state=xyz
}
