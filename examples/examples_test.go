// Package examples_test runs the examples, and what the README shows, as a
// reader would: as programs, from the root of the repository.
package examples_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// root is the root of the repository, seen from here.
const root = ".."

// environ is the environment of a program, in which no account is to be found.
func environ(extra ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "MISTRAL_") {
			env = append(env, v)
		}
	}
	return append(env, extra...)
}

// serve starts tramontane serve, with more arguments, for the length of a test
// and returns its URL.
func serve(t *testing.T, args ...string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "tramontane.exe")
	build := exec.Command("go", "build", "-o", program, "./cmd/tramontane")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(program, append([]string{"serve", "--addr", "127.0.0.1:0", "--db", filepath.Join(dir, "test.db")}, args...)...)
	cmd.Env = environ()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("tramontane serve: %v", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("tramontane serve: no address: %v", err)
	}
	return strings.TrimSpace(line)
}

// runExample returns what the example prints.
func runExample(ctx context.Context, t *testing.T, name, url string) string {
	t.Helper()
	cmd := exec.CommandContext(ctx, "go", "run", "./examples/"+name)
	cmd.Dir = root
	cmd.Env = environ("MISTRAL_BASE_URL=" + url)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("example %s: %v\n%s", name, err, &stderr)
	}
	return string(out)
}

func TestExamples(t *testing.T) {
	url := serve(t)
	for name, row := range map[string]struct {
		want string   // a pattern of its output; the first group is the temperature
		also []string // in the output
	}{
		"weather": {
			want: `\nFinal model: \{User:John Location:(?:New York|London|Paris|Tokyo|Sydney) Temperature:([0-9.]+)\}\n$`,
			also: []string{"All run entries:\n", `"type":"function.call"`, `"type":"function.result"`, `"type":"message.output"`},
		},
		"weather-stream": {
			want: `\nFinal model: \{User:John Location:(?:New York|London|Paris|Tokyo|Sydney) Temperature:([0-9.]+)\}\n$`,
			also: []string{"called  weather_get_weather ", "text    "},
		},
		"quickstart": {want: `^John is in (?:New York|London|Paris|Tokyo|Sydney), where it is ([0-9.]+) °C.\n$`},
	} {
		t.Run(name, func(t *testing.T) {
			out := runExample(t.Context(), t, name, url)
			found := regexp.MustCompile(row.want).FindStringSubmatch(out)
			if found == nil {
				t.Fatalf("output lacks %s:\n%s", row.want, out)
			}
			for _, want := range row.also {
				if !strings.Contains(out, want) {
					t.Errorf("output lacks %q:\n%s", want, out)
				}
			}
			// The temperature is the one that the tool told, not made up.
			told := strings.ReplaceAll(out, `\"`, `"`)
			if len(row.also) > 0 && !strings.Contains(told, `"temperature":`+found[1]) {
				t.Errorf("no tool told the temperature %s:\n%s", found[1], out)
			}
		})
	}
}

// TestReadmeRun runs the first command of the README as it stands there.
func TestReadmeRun(t *testing.T) {
	readme := readFile(t, "README.md")
	const command = `go run ./cmd/tramontane run --mcp-config examples/weather/mcp.json --schema examples/weather/result.schema.json "Tell me the weather in John's location currently."`
	if !strings.Contains(readme, "\n"+command+"\n") || !strings.Contains(readme, "\ngo test ./...\n") {
		t.Fatal("the README lacks one of the two commands")
	}
	cmd := exec.CommandContext(t.Context(), "sh", "-c", command)
	cmd.Dir = root
	cmd.Env = environ()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", command, err, &stderr)
	}
	var got struct {
		User, Location string
		Temperature    float64
	}
	if err := json.Unmarshal(out, &got); err != nil || got.User != "John" || got.Location == "" || got.Temperature == 0 {
		t.Errorf("standard output = %s (%v), want the weather where John is", out, err)
	}
	if !strings.Contains(readme, "```json\n"+string(out)+"```\n") {
		t.Errorf("the README shows another answer than this:\n%s", out)
	}
	if !strings.Contains(stderr.String(), "no AI") {
		t.Errorf("standard error does not say who answers: %s", &stderr)
	}
}

// TestReadmeGo checks that the Go code of the README stands in files that are
// compiled. Indentation does not count.
func TestReadmeGo(t *testing.T) {
	var sources []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && (strings.Contains(path, "examples") || strings.HasSuffix(path, "example_test.go")) {
			sources = append(sources, flush(readFile(t, strings.TrimPrefix(path, root))))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readFile(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("the README has no Go code")
	}
	for _, block := range blocks {
		found := false
		for _, source := range sources {
			found = found || strings.Contains(source, flush(block[1]))
		}
		if !found {
			t.Errorf("no example holds this code of the README:\n%s", block[1])
		}
	}
}

// flush takes away the tabs at the beginning of each line.
func flush(code string) string {
	return regexp.MustCompile(`(?m)^\t+`).ReplaceAllString(code, "")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
