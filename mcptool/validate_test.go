package mcptool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"github.com/tramontane-dev/tramontane/mcptool"
)

// exploding is a schema of n lines that asks for 2^n looks at one value.
func exploding(n int) string {
	var defs []string
	for i := range n {
		defs = append(defs, fmt.Sprintf(`"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%[2]d"}]}`, i, i+1))
	}
	return fmt.Sprintf(`{"type":"object","$ref":"#/$defs/d0","$defs":{%s,"d%d":{}}}`, strings.Join(defs, ","), n)
}

func TestOutputSchema(t *testing.T) {
	const note = "[the structured result does not match"
	for name, row := range map[string]struct {
		schema     string
		structured string // if empty, none
		isError    bool
		noted      bool
		logged     string
	}{
		"fits":           {schema: `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}`, structured: `{"a":1}`},
		"does not":       {schema: `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]}`, structured: `{"a":"x"}`, noted: true, logged: "not what its output schema says"},
		"missing":        {schema: `{"type":"object"}`, noted: true, logged: "there is none"},
		"of an error":    {schema: `{"type":"object"}`, isError: true},
		"any JSON":       {schema: `{"type":"object","properties":{"list":{"type":"array","prefixItems":[{"const":1}]}}}`, structured: `{"list":[2]}`, noted: true, logged: "not what"},
		"tree":           {schema: `{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}},"n":{"type":"integer"}}}`, structured: `{"n":1,"kids":[{"n":2,"kids":[{"n":"x"}]}]}`, noted: true, logged: "not what"},
		"tree that fits": {schema: `{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}}}}`, structured: `{"kids":[{"kids":[{}]}]}`},
		"old dialect":    {schema: `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","definitions":{"a":{"type":"integer"}},"properties":{"a":{"$ref":"#/definitions/a"}}}`, structured: `{"a":"x"}`, noted: true, logged: "not what"},
		"new dialect":    {schema: `{"$schema":"https://json-schema.org/draft/2030-01/schema","type":"object"}`, structured: `{"a":1}`, logged: "dialect that is not known"},
		"elsewhere":      {schema: `{"type":"object","$ref":"http://127.0.0.1:1/schema.json"}`, structured: `{"a":1}`, logged: "cannot be checked"},
		"no schema":      {schema: `{"type":"object","properties":7}`, structured: `{"a":1}`, logged: "cannot be checked"},
		"itself":         {schema: `{"type":"object","$ref":"#"}`, structured: `{"a":1}`, logged: "refers to itself"},
		"itself, inside": {schema: `{"type":"object","properties":{"a":{"anyOf":[{"$ref":"#/properties/a"}]}}}`, structured: `{"a":1}`, logged: "refers to itself"},
		"explodes":       {schema: exploding(60), structured: `{"a":1}`, logged: "too much work"},
		"explodes below": {schema: `{"type":"object","properties":{"a":{"$ref":"#/$defs/n"}},"$defs":{"n":{"allOf":[{"properties":{"a":{"$ref":"#/$defs/n"}}},{"properties":{"a":{"$ref":"#/$defs/n"}}}]}}}`, structured: strings.Repeat(`{"a":`, 60) + "1" + strings.Repeat("}", 60), logged: "too much work"},
		"long choice":    {schema: `{"type":"object","properties":{"a":{"type":"array","items":{"enum":[` + strings.Repeat("0,", 50_000) + `1]}}}}`, structured: `{"a":[` + strings.Repeat("1,", 100_000) + `1]}`, logged: "too much work"},
		"many steps":     {schema: `{"type":"object","properties":{"a":{"pattern":"` + strings.Repeat("(x?y?){500}", 20) + `z"}}}`, structured: `{"a":"` + strings.Repeat("xy", 1<<20) + `"}`, logged: "too much work"},
		"long text":      {schema: `{"type":"object","properties":{"a":{"type":"string","pattern":"^[a-z]+$"}}}`, structured: `{"a":"` + strings.Repeat("xy", 1<<18) + `"}`},
		"deep":           {schema: `{"type":"object"}`, structured: `{"a":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + "}", logged: "nested deeper"},
		"huge":           {schema: `{"type":"object","description":"` + strings.Repeat("x", 300<<10) + `"}`, structured: `{}`, logged: "bytes"},
		"$defs escaped":  {schema: `{"type":"object","properties":{"a":{"$ref":"#/$defs/x~1y%20z"}},"$defs":{"x/y z":{"type":"integer"}}}`, structured: `{"a":"x"}`, noted: true, logged: "not what"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mcp.NewServer(&mcp.Implementation{Name: "outputs", Version: "1"}, nil)
			server.AddTool(&mcp.Tool{Name: "t", InputSchema: json.RawMessage(`{"type":"object"}`), OutputSchema: json.RawMessage(row.schema)},
				func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
					result := said("as text")
					result.IsError = row.isError
					if row.structured != "" {
						result.StructuredContent = json.RawMessage(row.structured)
					}
					return result, nil
				})
			var log strings.Builder
			s := &mcptool.Server{Name: "test", Dial: mcptool.InMemory(server), Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
			defer s.Close()
			tool := start(t, s)["t"]
			if def := tool.Definition(); def.Output == nil {
				t.Fatal("the definition has no output schema")
			}
			for range 2 {
				result, err := tool.call(t.Context(), "")
				if err != nil {
					t.Fatal(err)
				}
				if got := result.Text(); !strings.HasPrefix(got, "as text") || strings.Contains(got, note) != row.noted {
					t.Errorf("result = %.300q, noted: %t", got, row.noted)
				}
				if got := string(result.Structured); got != row.structured {
					t.Errorf("structured = %.300s, want %.300s", got, row.structured)
				}
			}
			if (row.logged == "") != (log.Len() == 0) || !strings.Contains(log.String(), row.logged) {
				t.Errorf("log = %.500s, want %q in it", &log, row.logged)
			}
		})
	}
}
