package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const spec = `
paths:
  /v1/agents/{agent_id}#stream:
    parameters:
    - {name: agent_id, in: path, required: true, schema: {type: string}}
    post:
      parameters:
      - {name: metadata, in: query, content: {application/json: {schema: {anyOf: [{type: object}, {type: 'null'}]}}}}
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/Start'}}}
      responses:
        '200': {content: {text/event-stream: {schema: {$ref: '#/components/schemas/Tool'}}}}
        '204': {}
        '422': {content: {application/json: {schema: {$ref: '#/components/schemas/Invalid'}}}}
  /v1/elsewhere:
    get: {responses: {'200': {}}}
components:
  schemas:
    Unreached: {type: object, properties: {a: {type: string}}}
    Invalid: {type: object, properties: {detail: {type: array, items: {type: string}}}}
    Base: {type: object, required: [name], properties: {name: {type: string, maxLength: 5}}}
    Start:
      allOf:
      - $ref: '#/components/schemas/Base'
      - type: object
        required: [tools]
        properties:
          tools: {type: array, items: {$ref: '#/components/schemas/Tool'}}
          mode: {anyOf: [{$ref: '#/components/schemas/Mode'}, {type: 'null'}], default: a}
        additionalProperties: false
    Mode: {type: string, enum: [a, b]}
    Tool:
      oneOf: [{$ref: '#/components/schemas/Web'}, {$ref: '#/components/schemas/Code'}]
      discriminator: {propertyName: type, mapping: {web: '#/components/schemas/Web', code: '#/components/schemas/Code'}}
    Web: {type: object, properties: {type: {const: web}, next: {$ref: '#/components/schemas/Web'}}}
    Code: {type: object, properties: {type: {const: code}}, additionalProperties: {type: integer}}
`

const want = `{"endpoints":[{"method":"POST","path":"/v1/agents/{agent_id}#stream",
  "path_params":{"agent_id":{"types":["string"],"required":true}},
  "query":{"metadata":{"types":["null","object"],"nullable":true,"encoding":"application/json"}},
  "request":{"content_type":"application/json","required":true,"schema":{"types":["object"],"ref":"Start"}},
  "responses":[{"status":200,"content_type":"text/event-stream","schema":{"types":["object"],"ref":"Tool"}},{"status":204}],
  "invalid_input":"Invalid"}],
"schemas":{
  "Invalid":{"kind":"object","types":["object"],"properties":{"detail":{"types":["array"],"items":{"types":["string"]}}}},
  "Base":{"kind":"object","types":["object"],"properties":{"name":{"types":["string"],"required":true,"limits":{"maxLength":5}}}},
  "Start":{"kind":"object","types":["object"],"closed":true,"bases":["Base"],"properties":{
    "name":{"types":["string"],"required":true,"limits":{"maxLength":5}},
    "tools":{"types":["array"],"required":true,"items":{"types":["object"],"ref":"Tool"}},
    "mode":{"types":["null","string"],"nullable":true,"ref":"Mode","default":"a"}}},
  "Mode":{"kind":"enum","types":["string"],"enum":["a","b"]},
  "Tool":{"kind":"union","types":["object"],"variants":[{"types":["object"],"ref":"Code"},{"types":["object"],"ref":"Web"}],
    "discriminator":{"property":"type","mapping":{"web":"Web","code":"Code"}}},
  "Web":{"kind":"object","types":["object"],"properties":{"type":{"types":["any"],"const":"web"},"next":{"types":["object"],"ref":"Web"}}},
  "Code":{"kind":"object","types":["object"],"values":{"types":["integer"]},"properties":{"type":{"types":["any"],"const":"code"}}}}}`

func TestDigest(t *testing.T) {
	digest := digestOf(t)
	text, err := encode(digest)
	if err != nil {
		t.Fatal(err)
	}
	var wanted, got any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		t.Errorf("digest (-want +got):\n%s", diff)
	}
}

func digestOf(t *testing.T) *Digest {
	t.Helper()
	name := filepath.Join(t.TempDir(), "openapi.yaml")
	if err := os.WriteFile(name, []byte(spec), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := readDocument(name)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := doc.digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest
}

func TestCheck(t *testing.T) {
	digest := digestOf(t)
	for value, want := range map[string][]string{
		`{"name":"n","tools":[{"type":"web","next":{}},{"type":"code","n":1}],"mode":null}`: nil,
		`{"tools":[{"type":"disk"}],"mode":"c"}`: {
			"$.mode is c, which is not among the allowed values", "$.name is missing", `$.tools[0] has type "disk", which names no variant`,
		},
		`{"name":1,"tools":[{"type":"web","url":""},{"type":"code","n":"x"}],"new":0}`: {
			"$.name is integer, not string", "$.tools[0].url is not in the schema", "$.tools[1].n is string, not integer", "$.new is not in the schema",
		},
		`[]`: {"$ is array, not object"},
	} {
		got := digest.checkRaw(json.RawMessage(value), &Type{Ref: "Start", Types: []string{"object"}})
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", value, diff)
		}
	}
}
