package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/tramontane-dev/tramontane"
)

// checkJSON says where data stops being JSON.
func checkJSON(data []byte) error {
	var value json.RawMessage
	err := json.Unmarshal(data, &value)
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	// Offset counts the byte that was wrong, too, unless the input just ended.
	before := data[:min(int(syntax.Offset), len(data))]
	if len(before) > 0 && int(syntax.Offset) <= len(data) && !strings.HasPrefix(err.Error(), "unexpected end") {
		before = before[:len(before)-1]
	}
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Errorf("%d:%d: it is not JSON: %w", line, column, err)
}

// loadSchema reads --schema: a JSON object, or the file that holds one.
func loadSchema(flag string) (*tramontane.Output, error) {
	name, where, data := "output", "argument", []byte(flag)
	if !strings.HasPrefix(strings.TrimSpace(flag), "{") {
		var err error
		if data, err = os.ReadFile(flag); err != nil {
			return nil, usageErrorf("--schema: %w; give the file of a JSON Schema, or the schema itself", err)
		}
		name, where = outputName(flag), flag
	}
	if err := checkJSON(data); err != nil {
		return nil, usageErrorf("--schema %s:%w", where, err)
	}
	output, err := tramontane.OutputSchema(name, data)
	if err != nil {
		return nil, usageErrorf("--schema %s: %w", where, err)
	}
	return output, nil
}

// outputName is what the model is told that the answer is: the name of the
// schema's file up to its first dot, if a model accepts it.
func outputName(path string) string {
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	clean := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return '_'
	}, name)
	if clean == "" || len(clean) > 64 {
		return "output"
	}
	return clean
}
