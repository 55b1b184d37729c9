// Openapidigest boils the OpenAPI of Mistral's API down to what a wire type must agree with: for each endpoint that we
// speak its parameters and bodies, and for each schema that these reach its properties with their JSON types, and
// whether they are required, nullable, fixed or closed. It writes the digest to standard output:
//
//	go run ./internal/openapidigest -spec openapi.yaml > mistral/testdata/openapi.digest.json
//
// With -examples it instead writes the example values of the OpenAPI to that directory and rewrites its index.json,
// in which each sample names the schema it is meant for and where the two disagree:
//
//	go run ./internal/openapidigest -spec openapi.yaml -examples mistral/testdata/examples
//
// The OpenAPI itself is not part of the repository. The digest is, and tests read only that.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"

	"github.com/goccy/go-yaml"
)

func main() {
	spec := flag.String("spec", "", "the OpenAPI, a YAML `file`")
	examples := flag.String("examples", "", "write examples to this `directory`, not the digest to standard output")
	flag.Parse()
	if err := run(*spec, *examples); err != nil {
		fmt.Fprintln(os.Stderr, "openapidigest:", err)
		os.Exit(1)
	}
}

func run(spec, examples string) error {
	if spec == "" {
		return errors.New("no OpenAPI given: name it with -spec")
	}
	doc, err := readDocument(spec)
	if err != nil {
		return err
	}
	digest, err := doc.digest()
	if err != nil {
		return fmt.Errorf("%s: %w", spec, err)
	}
	if examples != "" {
		return writeExamples(examples, doc, digest)
	}
	text, err := encode(digest)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

// readDocument goes from YAML through JSON, so that the walk sees JSON's types only and numbers as they were written.
func readDocument(name string) (*document, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	converted, err := yaml.YAMLToJSON(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	dec := json.NewDecoder(bytes.NewReader(converted))
	dec.UseNumber()
	var doc document
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &doc, nil
}

// encode writes JSON as it is checked in: sorted, indented, with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return listOfStrings.ReplaceAllFunc(buf.Bytes(), onOneLine), err
}

// A list of types or of names is read at a glance on one line, and there are hundreds of them.
var listOfStrings = regexp.MustCompile(`\[\n\s+"(?:[^"\\]|\\.)*"(?:,\n\s+"(?:[^"\\]|\\.)*")*\n\s+\]`)

func onOneLine(list []byte) []byte {
	flat := regexp.MustCompile(`,\n\s+`).ReplaceAll(list, []byte(", "))
	flat = regexp.MustCompile(`\n\s*`).ReplaceAll(flat, nil)
	if len(flat) > 100 {
		return list
	}
	return flat
}
