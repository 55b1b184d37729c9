package mcpauth_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/tramontane-dev/tramontane/mcpauth"
)

// A service keeps the logins of its users apart by a directory for each.
func ExampleFileStore() {
	dir, err := os.MkdirTemp("", "logins") // a place of your own that stays
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for _, user := range []string{"ada", "grace"} {
		login := &mcpauth.Login{
			Server: "https://mcp.example.com/mcp",
			Store:  mcpauth.FileStore{Dir: dir + "/" + user},
		}
		status, err := login.Status(context.Background())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user, "is logged in:", status.LoggedIn)
	}
	// Output:
	// ada is logged in: false
	// grace is logged in: false
}

// Two programs that change what is kept take turns.
func ExampleStore() {
	ctx := context.Background()
	var store mcpauth.Store = &mcpauth.MemoryStore{} // DefaultStore() is that of the user
	unlock, err := store.Lock(ctx, "notes")
	if err != nil {
		log.Fatal(err)
	}
	defer unlock()
	data, err := store.Load(ctx, "notes")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("there is nothing yet:", data == nil)
	if err := store.Save(ctx, "notes", []byte("a token")); err != nil {
		log.Fatal(err)
	}
	// Output: there is nothing yet: true
}
