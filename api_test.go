package tramontane_test

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestAPI compares what the public packages export with testdata/api, so that
// every new export is seen in a diff. Write it anew with
//
//	go test -run TestAPI -update .
func TestAPI(t *testing.T) {
	for _, pkg := range []string{".", "mistral", "mcptool", "mcptest", "mcpauth", "server", "server/sqlite", "server/model", "server/storetest"} {
		if _, err := os.Stat(pkg); err != nil {
			continue // a package that was removed is seen by its golden file
		}
		got, err := exec.Command("go", "doc", "-all", "./"+pkg).Output()
		if err != nil {
			t.Fatalf("go doc %s: %v", pkg, err)
		}
		name := "tramontane"
		if pkg != "." {
			name = strings.ReplaceAll(pkg, "/", "_")
		}
		golden := filepath.Join("testdata", "api", name+".txt")
		if *update {
			if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("the exported API of %s is not that of %s (-want +got):\n%s", pkg, golden, diff)
		}
	}
}
