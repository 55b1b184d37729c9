package model_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tramontane-dev/tramontane/mistral"
	"github.com/tramontane-dev/tramontane/server/model"
)

// The answers below are what the back-ends send, shortened in what is not
// looked at. Each comes from a report or the source of the back-end, named in
// the comment before it.
var backends = []struct {
	name    string
	dialect model.Dialect
	plain   string // empty if the case is one of streams alone
	stream  string
	want    answer
}{{
	// Mistral: every call whole in one chunk, calls with their index, usage in
	// the last chunk, no content but "".
	name:    "mistral",
	dialect: model.DialectMistral,
	plain: `{"id":"cmpl-1","object":"chat.completion","model":"mistral-medium-latest","created":1760000000,
		"usage":{"prompt_tokens":112,"completion_tokens":40,"total_tokens":152},
		"choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"","prefix":false,"tool_calls":[
			{"id":"WJfo42Ow3","function":{"name":"get_location","arguments":"{\"user\": \"John\"}"},"index":0},
			{"id":"NqCFiwvSV","function":{"name":"get_weather","arguments":"{\"city\": \"Paris\"}"},"index":1}]}}]}`,
	stream: `data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"mistral-medium-latest","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"id":"cmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"mistral-medium-latest","choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"WJfo42Ow3","function":{"name":"get_location","arguments":"{\"user\": \"John\"}"},"index":0},{"id":"NqCFiwvSV","function":{"name":"get_weather","arguments":"{\"city\": \"Paris\"}"},"index":1}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":112,"total_tokens":152,"completion_tokens":40}}

data: [DONE]

`,
	want: answer{
		Calls: []call{
			{"WJfo42Ow3", "get_location", `{"user": "John"}`},
			{"NqCFiwvSV", "get_weather", `{"city": "Paris"}`},
		},
		Finish: mistral.FinishToolCalls, Prompt: 112, Completion: 40,
	},
}, {
	// Mistral's reasoning models: content is a list, a thought among it; the id
	// "null" is the default of the OpenAPI.
	name:    "mistral, thinking",
	dialect: model.DialectMistral,
	plain: `{"id":"cmpl-2","object":"chat.completion","model":"magistral-medium-latest","created":1760000000,
		"usage":{"prompt_tokens":9,"completion_tokens":7,"total_tokens":16},
		"choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":[
			{"type":"thinking","thinking":[{"type":"text","text":"Where is John?"}]},{"type":"text","text":"I look."}],
			"tool_calls":[{"id":"null","function":{"name":"get_location","arguments":{"user":"John"}}}]}}]}`,
	stream: `data: {"id":"cmpl-2","object":"chat.completion.chunk","created":1760000000,"model":"magistral-medium-latest","choices":[{"index":0,"delta":{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"Where is"}],"closed":false}]},"finish_reason":null}]}

data: {"id":"cmpl-2","object":"chat.completion.chunk","created":1760000000,"model":"magistral-medium-latest","choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":" John?"}],"closed":true}]},"finish_reason":null}]}

data: {"id":"cmpl-2","object":"chat.completion.chunk","created":1760000000,"model":"magistral-medium-latest","choices":[{"index":0,"delta":{"content":"I look."},"finish_reason":null}]}

data: {"id":"cmpl-2","object":"chat.completion.chunk","created":1760000000,"model":"magistral-medium-latest","choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"null","function":{"name":"get_location","arguments":{"user":"John"}}}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":9,"total_tokens":16,"completion_tokens":7}}

data: [DONE]

`,
	want: answer{
		Thought: "Where is John?", Text: "I look.",
		Calls:  []call{{fresh, "get_location", `{"user":"John"}`}},
		Finish: mistral.FinishToolCalls, Prompt: 9, Completion: 7,
	},
}, {
	// vLLM with the hermes parser: id and name first, then fragments of the
	// arguments, usage in a chunk without choices.
	name: "vllm",
	plain: `{"id":"chatcmpl-9c1","object":"chat.completion","created":1760000000,"model":"Qwen/Qwen3-8B",
		"choices":[{"index":0,"message":{"role":"assistant","content":null,"refusal":null,"annotations":null,"audio":null,"function_call":null,
			"tool_calls":[{"id":"chatcmpl-tool-f7bd","type":"function","function":{"name":"get_location","arguments":"{\"user\": \"John\"}"}},
				{"id":"chatcmpl-tool-0a2c","type":"function","function":{"name":"get_weather","arguments":"{\"city\": \"Paris\"}"}}],
			"reasoning_content":"Where is John?"},"logprobs":null,"finish_reason":"tool_calls","stop_reason":null}],
		"service_tier":null,"usage":{"prompt_tokens":200,"total_tokens":230,"completion_tokens":30,"prompt_tokens_details":null},"prompt_logprobs":null}`,
	stream: `data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"reasoning_content":"Where is","reasoning":"Where is"},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"reasoning_content":" John?","reasoning":" John?"},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"tool_calls":[{"id":"chatcmpl-tool-f7bd","type":"function","index":0,"function":{"name":"get_location"}}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"user\": \""}}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"John\"}"}}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"tool_calls":[{"id":"chatcmpl-tool-0a2c","type":"function","index":1,"function":{"name":"get_weather"}}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{\"city\": \"Paris\"}"}}]},"logprobs":null,"finish_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[{"index":0,"delta":{"content":""},"logprobs":null,"finish_reason":"tool_calls","stop_reason":null}]}

data: {"id":"chatcmpl-9c1","object":"chat.completion.chunk","created":1760000000,"model":"Qwen/Qwen3-8B","choices":[],"usage":{"prompt_tokens":200,"total_tokens":230,"completion_tokens":30}}

data: [DONE]

`,
	want: answer{
		Thought: "Where is John?",
		Calls: []call{
			{fresh, "get_location", `{"user": "John"}`},
			{fresh, "get_weather", `{"city": "Paris"}`},
		},
		Finish: mistral.FinishToolCalls, Prompt: 200, Completion: 30,
	},
}, {
	// vLLM with the Mistral parser (vllm#19425): the id alone, with a null
	// function, then the name without an id; role and content in every chunk.
	name: "vllm, mistral parser",
	stream: `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"4189fdfaG","index":0,"type":"function","function":null}]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":null,"index":0,"type":"function","function":{"name":"search","arguments":"{\""}}]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":null,"index":0,"type":"function","function":{"name":null,"arguments":"q\":1}"}}]},"finish_reason":"tool_calls"}]}

data: [DONE]

`,
	want: answer{Calls: []call{{"4189fdfaG", "search", `{"q":1}`}}, Finish: mistral.FinishToolCalls},
}, {
	// vLLM 0.7 (vllm#14951) and its forced tool choice: the name, and a new id,
	// with every fragment.
	name: "vllm, repeating",
	stream: `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"id":"chatcmpl-tool-1","index":0,"type":"function","function":{"name":"search","arguments":"{\""}}]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"chatcmpl-tool-2","index":0,"type":"function","function":{"name":"search","arguments":"q\":"}}]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"chatcmpl-tool-3","index":0,"type":"function","function":{"name":"search","arguments":"1}"}}]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}

data: [DONE]

`,
	want: answer{Calls: []call{{fresh, "search", `{"q":1}`}}, Finish: mistral.FinishToolCalls},
}, {
	// vLLM of 2024 and SGLang (lmdeploy#3412): the second call at index 0 too,
	// told apart by its id; here the first has no arguments at all.
	name: "vllm, one index",
	stream: `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"id":"0","index":0,"type":"function","function":{"name":"now","arguments":""}}]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"1","index":0,"type":"function","function":{"name":"search","arguments":""}}]},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"tool_calls":[{"id":"1","index":0,"type":"function","function":{"name":null,"arguments":"{\"q\":1}"}}]},"finish_reason":"tool_calls"}]}

data: [DONE]

`,
	want: answer{Calls: []call{{fresh, "now", `{}`}, {fresh, "search", `{"q":1}`}}, Finish: mistral.FinishToolCalls},
}, {
	// Ollama: whole calls, each in a chunk of its own and all of them at index 0
	// (ollama#15457), "stop" at the end in versions before 0.5 (ollama#7963),
	// thoughts in reasoning.
	name: "ollama",
	plain: `{"id":"chatcmpl-838","object":"chat.completion","created":1744438886,"model":"qwen3:8b","system_fingerprint":"fp_ollama",
		"choices":[{"index":0,"message":{"role":"assistant","content":"","reasoning":"Where is John?","tool_calls":[
			{"id":"call_hk81qg8b","index":0,"type":"function","function":{"name":"get_location","arguments":"{\"user\":\"John\"}"}},
			{"id":"call_wteop8bt","index":0,"type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},"finish_reason":"stop"}],
		"usage":{"prompt_tokens":169,"completion_tokens":19,"total_tokens":188}}`,
	stream: `data: {"id":"chatcmpl-838","object":"chat.completion.chunk","created":1744438886,"model":"qwen3:8b","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"Where is John?"},"finish_reason":null}]}

data: {"id":"chatcmpl-838","object":"chat.completion.chunk","created":1744438886,"model":"qwen3:8b","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_hk81qg8b","index":0,"type":"function","function":{"name":"get_location","arguments":"{\"user\":\"John\"}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-838","object":"chat.completion.chunk","created":1744438886,"model":"qwen3:8b","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_wteop8bt","index":0,"type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},"finish_reason":null}]}

data: {"id":"chatcmpl-838","object":"chat.completion.chunk","created":1744438886,"model":"qwen3:8b","system_fingerprint":"fp_ollama","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]}

data: {"id":"chatcmpl-838","object":"chat.completion.chunk","created":1744438886,"model":"qwen3:8b","system_fingerprint":"fp_ollama","choices":[],"usage":{"prompt_tokens":169,"completion_tokens":19,"total_tokens":188}}

data: [DONE]

`,
	want: answer{
		Thought: "Where is John?",
		Calls: []call{
			{fresh, "get_location", `{"user":"John"}`},
			{fresh, "get_weather", `{"city":"Paris"}`},
		},
		Finish: mistral.FinishToolCalls, Prompt: 169, Completion: 19,
	},
}, {
	// llama.cpp: id and name with the first fragment of the arguments, a last
	// chunk with an empty delta, usage and timings after it. Templates without
	// ids leave them empty.
	name: "llama.cpp",
	plain: `{"choices":[{"finish_reason":"tool_calls","index":0,"message":{"role":"assistant","reasoning_content":"Where is John?","content":"",
			"tool_calls":[{"type":"function","function":{"name":"get_location","arguments":"{\"user\":\"John\"}"},"id":""},
				{"type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"},"id":""}]}}],
		"created":1760000000,"model":"qwen3","system_fingerprint":"b6700-3df2244d","object":"chat.completion",
		"usage":{"completion_tokens":25,"prompt_tokens":170,"total_tokens":195},"id":"chatcmpl-Xy","timings":{"prompt_n":170}}`,
	stream: `data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","system_fingerprint":"b6700-3df2244d","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"Where is"}}],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":" John?"}}],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":"get_location","arguments":"{"}}]}}],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"user\":\"John"}}]}}],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"}"}}]}}],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":1,"id":"","type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]}}],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":"tool_calls","index":0,"delta":{}}],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","object":"chat.completion.chunk"}

data: {"choices":[],"created":1760000000,"id":"chatcmpl-Xy","model":"qwen3","object":"chat.completion.chunk","usage":{"completion_tokens":25,"prompt_tokens":170,"total_tokens":195},"timings":{"prompt_n":170}}

data: [DONE]

`,
	want: answer{
		Thought: "Where is John?",
		Calls: []call{
			{fresh, "get_location", `{"user":"John"}`},
			{fresh, "get_weather", `{"city":"Paris"}`},
		},
		Finish: mistral.FinishToolCalls, Prompt: 170, Completion: 25,
	},
}, {
	// llama.cpp before llama.cpp#13800: id and name with every fragment, the
	// last of which may add nothing.
	name: "llama.cpp, repeating",
	stream: `data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"aBcDeFgHiJ","type":"function","function":{"name":"search","arguments":"{\"q\":"}}]}}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"id":"aBcDeFgHiJ","type":"function","function":{"name":"search","arguments":"1}"}}]}}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":null,"index":0,"delta":{"tool_calls":[{"index":0,"id":"aBcDeFgHiJ","type":"function","function":{"name":"search","arguments":""}}]}}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}

data: {"choices":[{"finish_reason":"tool_calls","index":0,"delta":{}}],"created":1,"id":"c","model":"m","object":"chat.completion.chunk"}

data: [DONE]

`,
	want: answer{Calls: []call{{fresh, "search", `{"q":1}`}}, Finish: mistral.FinishToolCalls},
}, {
	// Two calls with one id, which no result could tell apart.
	name: "one id for two calls",
	plain: `{"choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","tool_calls":[
			{"id":"WJfo42Ow3","type":"function","function":{"name":"f","arguments":"{}"}},
			{"id":"WJfo42Ow3","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}`,
	stream: `data: {"choices":[{"index":0,"finish_reason":"tool_calls","delta":{"role":"assistant","tool_calls":[{"index":0,"id":"WJfo42Ow3","function":{"name":"f","arguments":"{}"}},{"index":1,"id":"WJfo42Ow3","function":{"name":"g","arguments":"{}"}}]}}]}

data: [DONE]

`,
	want: answer{Calls: []call{{"WJfo42Ow3", "f", `{}`}, {fresh, "g", `{}`}}, Finish: mistral.FinishToolCalls},
}, {
	// Text that vLLM ends with "tool_calls" although there are none, and a proxy
	// that leaves out [DONE].
	name: "text",
	plain: `{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Paris, 21 degrees.","tool_calls":[]},"finish_reason":"tool_calls"}],
		"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}`,
	stream: `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","content":"Paris, "},"finish_reason":null}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"21 degrees."},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3}}

`,
	want: answer{Text: "Paris, 21 degrees.", Finish: mistral.FinishStop, Prompt: 1, Completion: 2},
}}

func TestChatComplete(t *testing.T) {
	for _, b := range backends {
		if b.plain == "" {
			continue
		}
		t.Run(b.name, func(t *testing.T) {
			c, _ := chatTo(t, reply{status: http.StatusOK, kind: "application/json", body: b.plain})
			c.Dialect = b.dialect
			resp, err := c.Complete(t.Context(), ask("Where is John?"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b.want, fromResponse(t, resp)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestChatStream(t *testing.T) {
	for _, b := range backends {
		t.Run(b.name, func(t *testing.T) {
			c, _ := chatTo(t, reply{status: http.StatusOK, kind: "text/event-stream", body: b.stream})
			c.Dialect = b.dialect
			got, err := fromStream(t, c.Stream(t.Context(), ask("Where is John?")))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(b.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}
