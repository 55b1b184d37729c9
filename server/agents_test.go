package server_test

import (
	"fmt"
	"net/url"
	"sync"
	"testing"

	"github.com/tramontane-dev/tramontane/mistral"
)

const agents = "/v1/agents"

func (h *host) agent(body string) (id string) {
	h.t.Helper()
	return h.ok("POST", agents, body).get("id")
}

func TestAgent(t *testing.T) {
	h := newHost(t, nil)
	a := h.ok("POST", agents, `{"model":"m","name":"Weather","instructions":"Be brief.","description":"","metadata":{"b": 1,"a":2}}`)
	id := a.get("id")
	for member, want := range map[string]string{
		"object": "agent", "version": "0", "versions": "[0]", "tools": "[]", "completion_args": "{}", "deployment_chat": "false", "source": "api",
		"name": "Weather", "instructions": "Be brief.", "metadata": `{"a":2,"b":1}`,
	} {
		a.want(want, member)
	}
	if got := h.ok("GET", agents+"/"+id, "").body; got != a.body {
		t.Errorf("read back:\n got %s\nwant %s", got, a.body)
	}
	h.fails("GET", agents+"/ag_0", "", 404, "ag_0", `"object":"error"`)

	if status, body := h.do("DELETE", agents+"/"+id, ""); status != 204 || body != "" {
		t.Errorf("status %d, body %q, want 204 and none", status, body)
	}
	h.fails("GET", agents+"/"+id, "", 404, id)
	h.fails("DELETE", agents+"/"+id, "", 404, id)
	h.fails("PATCH", agents+"/"+id, `{}`, 404, id)
}

func TestAgentVersions(t *testing.T) {
	h := newHost(t, nil)
	id := h.agent(`{"model":"m","name":"n","instructions":"i","description":"d","version_message":"first"}`)
	path := agents + "/" + id
	a := h.ok("PATCH", path, `{"tools":[`+locationTool+`],"completion_args":{"temperature":0.5}}`)
	a.want("1", "version")
	a.want("[0,1]", "versions")
	a.want("i", "instructions")
	a.want("d", "description")
	a.want("0.5", "completion_args", "temperature")
	a.want("", "version_message")

	// null takes away, absence leaves, an empty value is a value.
	a = h.ok("PATCH", path, `{"instructions":null,"description":"","name":null,"deployment_chat":true,"metadata":{"k":1}}`)
	a.want("", "instructions")
	a.want("", "description")
	a.want("n", "name")
	a.want("true", "deployment_chat")
	a.want("get_location", "tools", 0, "function", "name")
	a = h.ok("PATCH", path, `{"tools":[],"completion_args":{},"metadata":null,"deployment_chat":null}`)
	a.want("[]", "tools")
	a.want("{}", "completion_args")
	a.want("", "metadata")
	a.want("true", "deployment_chat")
	h.fails("PATCH", path, `{"tools":null}`, 422, `"loc":["body","tools"]`)
	h.fails("PATCH", path, `{"name":""}`, 422, `"loc":["body","name"]`)
	h.fails("PATCH", path, `{"colour":"red"}`, 422, `"loc":["body","colour"]`, "extra_forbidden")

	h.ok("GET", path, "").want("3", "version")
	for _, p := range []string{path + "?agent_version=0", path + "/versions/0"} {
		old := h.ok("GET", p, "")
		old.want("0", "version")
		old.want("[0,1,2,3]", "versions")
		old.want("i", "instructions")
		old.want("first", "version_message")
	}
	for _, p := range []string{path + "?agent_version=4", path + "/versions/4", path + "/versions/-1"} {
		h.fails("GET", p, "", 404, id)
	}
	h.fails("GET", path+"?agent_version=prod", "", 404, "prod", "aliases")
	h.fails("GET", path+"/versions/prod", "", 404, "prod", "aliases")

	list := h.ok("GET", path+"/versions", "")
	list.want("0", 0, "version")
	list.want("3", 3, "version")
	list = h.ok("GET", path+"/versions?page=1&page_size=3", "")
	list.want("3", 0, "version")
	list.want("", 1)
	h.ok("GET", path+"/versions?page=1000000000&page_size=100", "").want("[]")
	h.fails("GET", path+"/versions?page_size=101", "", 422, `"loc":["query","page_size"]`)
	h.fails("GET", agents+"/ag_0/versions", "", 404, "ag_0")

	h.ok("PATCH", path+"/version?version=1", "").want("1", "version")
	h.ok("GET", path, "").want("1", "version")
	h.ok("PATCH", path+"/version", `{"version":2}`).want("2", "version")
	h.fails("PATCH", path+"/version?version=9", "", 404, "9")
	h.fails("PATCH", path+"/version?version=x", "", 422, "int_parsing")
	h.fails("PATCH", path+"/version", "", 422, "missing")

	// An update starts from the version in use and follows the newest.
	h.ok("PATCH", path+"/version?version=0", "")
	a = h.ok("PATCH", path, `{"name":"new"}`)
	a.want("4", "version")
	a.want("i", "instructions")
}

// Updates at once make a version each.
func TestUpdatesAtOnce(t *testing.T) {
	h := newHost(t, nil)
	path := agents + "/" + h.agent(`{"model":"m","name":"n"}`)
	var wg sync.WaitGroup
	const n = 16
	for range n {
		wg.Go(func() { h.ok("PATCH", path, `{"description":"d"}`) })
	}
	wg.Wait()
	h.ok("GET", path, "").want(fmt.Sprint(n), "version")
}

func TestListAgents(t *testing.T) {
	h := newHost(t, nil)
	var ids []string
	for i := range 5 {
		ids = append(ids, h.agent(fmt.Sprintf(`{"model":"m","name":"Agent %d","metadata":{"n":%d}}`, i, i%2)))
	}
	h.ok("PATCH", agents+"/"+ids[1], `{"deployment_chat":true}`)
	check := func(list answer, at []any, want ...int) {
		t.Helper()
		for i, n := range want {
			list.want(ids[n], append(at, i, "id")...)
		}
		list.want("", append(at, len(want))...)
	}
	for query, want := range map[string][]int{
		"":                                  {0, 1, 2, 3, 4},
		"page=1&page_size=2":                {2, 3},
		"name=Agent+2":                      {2},
		"name=agent":                        {},
		"search=AGENT":                      {0, 1, 2, 3, 4},
		"search=" + ids[3][3:]:              {3},
		"id=" + ids[4]:                      {4},
		"sources=api":                       {0, 1, 2, 3, 4},
		"sources=playground":                {},
		"sources=playground&sources=api":    {0, 1, 2, 3, 4},
		"deployment_chat=true":              {1},
		"deployment_chat=false&search=nt+0": {0},
		"metadata=" + url.QueryEscape(`{"n":1}`) + "&page_size=1&page=1": {3},
	} {
		t.Log(query)
		check(h.ok("GET", agents+"?"+query, ""), nil, want...)
	}
	for query, loc := range map[string]string{
		"page=-1": "page", "page_size=0": "page_size", "page_size=1001": "page_size", "metadata=x": "metadata", "metadata=[]": "metadata",
		"deployment_chat=maybe": "deployment_chat", "sources=moon": "sources", "page=1e3": "page",
	} {
		h.fails("GET", agents+"?"+query, "", 422, `"loc":["query","`+loc+`"`)
	}

	// Pages by cursor go on where they were, even when the agent there is gone.
	first := h.ok("GET", agents+"/pages?page_size=2", "")
	first.want("list", "object")
	check(first, []any{"data"}, 0, 1)
	h.do("DELETE", agents+"/"+ids[1], "")
	next := "/v1/agents/pages?page_size=2&page_token=" + first.get("next_page_token")
	second := h.ok("GET", next, "")
	check(second, []any{"data"}, 2, 3)
	third := h.ok("GET", "/v1/agents/pages?page_size=2&page_token="+second.get("next_page_token"), "")
	check(third, []any{"data"}, 4)
	third.want("", "next_page_token")
	h.fails("GET", agents+"/pages?page_token=x", "", 422, `"loc":["query","page_token"]`)
}

func TestAgentConversation(t *testing.T) {
	h := newHost(t, nil)
	agent := h.agent(`{"model":"m0","name":"n","instructions":"version 0","tools":[` + locationTool + `],"completion_args":{"temperature":0.25}}`)
	asked := func() *mistral.ChatRequest { return h.model.asked[len(h.model.asked)-1] }

	h.model.add(says("Hi."))
	r := h.ok("POST", conversations, `{"agent_id":"`+agent+`","inputs":"x","stream":false}`)
	r.want(agent, "outputs", 0, "agent_id")
	r.want("m0", "outputs", 0, "model")
	current := r.get("conversation_id")
	h.model.add(says("Hi."))
	pinned := h.ok("POST", conversations, `{"agent_id":"`+agent+`","agent_version":0,"inputs":"x"}`).get("conversation_id")
	if a := asked(); a.Model != "m0" || *a.Temperature != 0.25 || a.Tools[0].Function.Name != "get_location" {
		t.Errorf("the model was asked %+v", a)
	}
	h.wantPrompt(`[{"role":"system","content":"version 0"},{"role":"user","content":"x"}]`)

	c := h.ok("GET", conversations+"/"+current, "")
	c.want(agent, "agent_id")
	c.want("", "model")
	c.want("", "tools")
	h.ok("GET", conversations+"/"+pinned, "").want("0", "agent_version")

	// A conversation follows its agent, unless it was started with a version.
	h.ok("PATCH", agents+"/"+agent, `{"model":"m1","instructions":"version 1"}`)
	for id, want := range map[string]string{current: "m1", pinned: "m0"} {
		h.model.add(says("Hi."))
		h.ok("POST", conversations+"/"+id, `{"inputs":"y"}`).want(want, "outputs", 0, "model")
	}
	anchor := h.ok("GET", conversations+"/"+pinned+"/history", "").get("entries", 1, "id")
	for version, want := range map[string]string{"": "m1", `"agent_version":"0",`: "m0", `"agent_version":1,`: "m1"} {
		h.model.add(says("Hi."))
		h.ok("POST", conversations+"/"+pinned+"/restart", `{`+version+`"inputs":"y","from_entry_id":"`+anchor+`"}`).want(want, "outputs", 0, "model")
	}

	h.fails("POST", conversations, `{"agent_id":"ag_0","inputs":"x"}`, 404, "ag_0")
	h.fails("POST", conversations, `{"agent_id":"`+agent+`","agent_version":7,"inputs":"x"}`, 404, "7")
	h.fails("POST", conversations, `{"agent_id":"`+agent+`","agent_version":"prod","inputs":"x"}`, 404, "prod", "aliases")
	h.do("DELETE", agents+"/"+agent, "")
	h.fails("POST", conversations+"/"+current, `{"inputs":"z"}`, 404, agent)
}

// What is not built may be kept on an agent, and is refused by name when a
// conversation would need it.
func TestNotBuilt(t *testing.T) {
	h := newHost(t, nil)
	other := h.agent(`{"model":"m","name":"other"}`)
	for member, name := range map[string]string{
		`"handoffs":["` + other + `"]`:                              "handoffs",
		`"guardrails":[{"block_on_error":true,"later":1}]`:          "guardrails",
		`"tools":[{"type":"web_search"}]`:                           "web_search",
		`"tools":[{"type":"web_search_premium"}]`:                   "web_search_premium",
		`"tools":[{"type":"code_interpreter"}]`:                     "code_interpreter",
		`"tools":[{"type":"image_generation"}]`:                     "image_generation",
		`"tools":[{"type":"document_library","library_ids":["l"]}]`: "document_library",
		`"tools":[{"type":"connector","connector_id":"gmail"}]`:     "connector gmail",
	} {
		id := h.agent(`{"model":"m","name":"n",` + member + `}`)
		h.fails("POST", conversations, `{"agent_id":"`+id+`","inputs":"x"}`, 422, "not_supported", name, id)
		h.fails("POST", conversations, `{"model":"m","inputs":"x",`+member+`}`, 422, "not_supported", name)
	}
	h.fails("POST", conversations, `{"agent_id":"`+other+`","inputs":[{"role":"user","content":"x"},{"type":"agent.handoff",
		"previous_agent_id":"`+other+`","previous_agent_name":"a","next_agent_id":"ag_b","next_agent_name":"b"},{"role":"user","content":"y"}]}`,
		422, "not_supported", "handoffs", "ag_b")
	h.fails("POST", conversations, `{"model":"m","inputs":[{"tool_call_id":"a","name":"f","arguments":"{}","confirmation_status":"pending"}]}`, 422, "tool confirmations")
	h.fails("POST", conversations, `{"model":"m","inputs":[{"role":"user","content":[{"type":"tool_file","tool":"t","file_id":"file_1"}]}]}`, 422, "file_1")
	h.fails("POST", conversations, `{"model":"m","inputs":"x","tool_confirmations":[{"tool_call_id":"a","confirmation":"allow"}]}`, 422, "not_supported", "tool confirmations")
	id := h.start("Hi.")
	h.fails("POST", conversations+"/"+id, `{"tool_confirmations":[{"tool_call_id":"a","confirmation":"allow"}]}`, 422, "tool confirmations", `"loc":["body","tool_confirmations"]`)
}
