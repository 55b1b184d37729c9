"""What the Python programs expect of a server. Written against the SDKs' documentation; works with every major."""

import json
from typing import Any

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current temperature at a location, in degrees Celsius.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string", "description": "name of the city"}},
            "required": ["location"],
        },
    },
}


def that(condition: Any, what: str) -> None:
    if not condition:
        raise SystemExit(f"FAIL: {what}")


def ok(what: str) -> None:
    print(f"ok: {what}", flush=True)


def created_agent(agent, model: str) -> None:
    that(agent.id and agent.model == model and agent.name == "weather teller", "the agent is as it was created")
    that(agent.created_at and agent.updated_at and agent.versions == [agent.version], "the agent has dates and one version")
    ok("agents.create")


def run(name: str, result, model: type, cities: list[str], temperature_of) -> None:
    """The result is typed, and holds what the local function and the MCP server really said."""
    answer = result.output_as_model
    that(isinstance(answer, model), f"{name}: the answer is a {model.__name__}")
    that(answer.user == "John", f"{name}: user is John, not {answer.user!r}")
    that(answer.location in cities, f"{name}: {answer.location!r} is one of the cities")
    want = temperature_of(answer.location)
    that(abs(answer.temperature - want) < 1e-6, f"{name}: {answer.location} has {want} degrees, not {answer.temperature}")
    ok(f"{name}: typed answer {answer!r}")

    entries = result.output_entries
    calls = [e for e in entries if e.type == "function.call"]
    results = {e.tool_call_id: e.result for e in entries if e.type == "function.result"}
    that([c.name for c in calls] == ["get_location", "get_weather"], f"{name}: calls are {[c.name for c in calls]}")
    that(sorted(results) == sorted(c.tool_call_id for c in calls), f"{name}: every call has exactly one result")
    that(arguments(calls[0]) == {"name": "John"}, f"{name}: get_location got {calls[0].arguments!r}")
    that(arguments(calls[1]) == {"location": answer.location}, f"{name}: get_weather got {calls[1].arguments!r}")
    that(results[calls[0].tool_call_id] == answer.location, f"{name}: the location is what the function gave")
    that(str(want) in results[calls[1].tool_call_id], f"{name}: the temperature is what the MCP server gave")
    that(entries[-1].type == "message.output", f"{name}: the last entry is the answer")
    that(result.conversation_id, f"{name}: the conversation has an id")
    ok(f"{name}: {[e.type for e in entries]}")


def arguments(call) -> dict:
    return json.loads(call.arguments) if isinstance(call.arguments, str) else call.arguments


def stream(events: list, result) -> None:
    """The events of a streamed run: one response for each request, each closed before the local results."""
    types = [e.event for e in events]
    that(all(e.event == e.data.type for e in events), "an event's name is its data's type")
    that(types[0] == "conversation.response.started", f"the stream starts with {types[0]}")
    that(types[-1] == "conversation.response.done", f"the stream ends with {types[-1]}")
    that("conversation.response.error" not in types, "no response failed")
    open_response = False
    for event in events:
        if event.event == "conversation.response.started":
            that(not open_response, "a response is done before the next starts")
            that(event.data.conversation_id == result.conversation_id, "every response is of the same conversation")
            open_response, last_index = True, 0
        elif event.event == "conversation.response.done":
            that(open_response and event.data.usage.total_tokens >= 0, "a response that is done was started")
            open_response = False
        elif event.event == "function.result":
            that(not open_response, "local results come between responses")
        else:
            that(open_response and event.data.output_index >= last_index, "outputs come in order, inside a response")
            last_index = event.data.output_index
    that(types.count("conversation.response.started") == 3, "two tool turns make three responses")
    that(types.count("function.result") == 2, "both local results are in the stream")
    that("message.output.delta" in types and "function.call.delta" in types, "deltas of calls and of the answer")
    ok(f"streaming: {len(events)} events in order, then the RunResult")


def agents(client, agent_id: str, model: str) -> None:
    api = client.beta.agents
    agent = api.get(agent_id=agent_id)
    names = [t.function.name for t in agent.tools]
    that(names == ["get_location", "get_weather"], f"the run left its tools on the agent: {names}")
    that(agent.completion_args.response_format.type == "json_schema", "and its response format")
    ok("agents.get")

    that(agent_id in [a.id for a in api.list(page_size=1000)], "the agent is in the list")
    that(len(api.list(page=0, page_size=1)) == 1, "a page holds as much as was asked for")
    ok("agents.list")

    updated = api.update(agent_id=agent_id, description="tells the weather")
    that(updated.version == agent.version + 1, "an update makes a version")
    that(updated.description == "tells the weather" and updated.name == agent.name, "an update changes what it names")
    that([t.function.name for t in updated.tools] == names, "and nothing else")
    that(updated.model == model and updated.updated_at >= agent.updated_at, "nor the model")
    ok("agents.update")

    versions = api.list_versions(agent_id=agent_id)
    that(sorted(v.version for v in versions) == sorted(updated.versions), "every version is listed")
    first = api.get_version(agent_id=agent_id, version=str(min(updated.versions)))
    that(not first.description and not first.tools, f"the first version is as it was created: {first!r}")
    ok(f"agents.list_versions, get_version: {sorted(updated.versions)}")

    other = api.create(model=model, name="short-lived")
    api.delete(agent_id=other.id)
    that(other.id not in [a.id for a in api.list(page_size=1000)], "a deleted agent is gone")
    ok("agents.delete")


def conversations(client, conversation_id: str, agent_id: str) -> None:
    api = client.beta.conversations
    that(api.get(conversation_id=conversation_id).agent_id == agent_id, "the conversation is the agent's")
    that(conversation_id in [c.id for c in api.list(page_size=1000)], "the conversation is in the list")
    ok("conversations.get, list")

    history = api.get_history(conversation_id=conversation_id).entries
    want = ["message.input", "function.call", "function.result", "function.call", "function.result", "message.output"]
    that([e.type for e in history] == want, f"the history is {[e.type for e in history]}")
    that(all(e.id and e.created_at and e.object == "entry" for e in history), "every entry has an id and a date")
    that(len({e.id for e in history}) == len(history), "ids are unique")
    that([e.created_at for e in history] == sorted(e.created_at for e in history), "dates do not run backwards")
    messages = api.get_messages(conversation_id=conversation_id).messages
    that([m.id for m in messages] == [history[0].id, history[-1].id], "messages are the messages of the history")
    ok("conversations.get_history, get_messages")

    again = api.restart(
        conversation_id=conversation_id, from_entry_id=history[-1].id, inputs="And what is the weather in Paris?"
    )
    that(again.conversation_id != conversation_id and again.outputs, "a restart is a new conversation")
    branch = api.get_history(conversation_id=again.conversation_id).entries
    that([e.type for e in branch][: len(want) + 1] == want + ["message.input"], "it has the history up to the entry")
    that(len(api.get_history(conversation_id=conversation_id).entries) == len(want), "the old one stays as it was")
    ok("conversations.restart")

    for gone in (conversation_id, again.conversation_id):
        api.delete(conversation_id=gone)
        that(gone not in [c.id for c in api.list(page_size=1000)], "a deleted conversation is gone")
    ok("conversations.delete")


def streams(client, model: str) -> None:
    """Start, append and restart by hand with a tool that the program answers itself."""
    api = client.beta.conversations
    call, conversation_id, _ = collect(
        api.start_stream(model=model, tools=[WEATHER], inputs="What is the weather in Tokyo?")
    )
    that(call.name == "get_weather" and json.loads(call.arguments) == {"location": "Tokyo"}, f"the call is {call}")
    result = {"type": "function.result", "tool_call_id": call.tool_call_id, "result": "21.5"}
    text, same_id, message_id = collect(api.append_stream(conversation_id=conversation_id, inputs=[result]))
    that(same_id == conversation_id and "21.5" in text, f"the answer holds the result: {text!r}")
    history = api.get_history(conversation_id=conversation_id).entries
    that(history[-1].id == message_id, "the id in the stream is the id in the history")
    call, new_id, _ = collect(
        api.restart_stream(
            conversation_id=conversation_id, from_entry_id=message_id, inputs="What is the weather in London?"
        )
    )
    that(new_id != conversation_id and json.loads(call.arguments) == {"location": "London"}, f"the call is {call}")
    ok("start_stream, append_stream, restart_stream")


def collect(response):
    """Read a stream to its end: the last call or the text of the answer, the conversation, the id of the entry."""
    call, text, conversation_id, entry_id, types = None, "", None, None, []
    with response as events:
        for event in events:
            types.append(event.event)
            data = event.data
            if data.type == "conversation.response.started":
                conversation_id = data.conversation_id
            elif data.type == "message.output.delta":
                text, entry_id = text + data.content, data.id
            elif data.type == "function.call.delta":
                entry_id = data.id
                if call is None or call.id != data.id:
                    call = data
                else:
                    call.arguments += data.arguments
    that(types and types[-1] == "conversation.response.done", f"the stream ends with {types[-1:]}")
    return call or text, conversation_id, entry_id


def errors(client, sdk_error: type, validation_error: type) -> None:
    """Refusals come as the SDK's own error types, not as bodies that it cannot read."""
    for name, request in {
        "an unknown agent": lambda: client.beta.agents.get(agent_id="ag_unknown"),
        "an unknown conversation": lambda: client.beta.conversations.get(conversation_id="conv_unknown"),
        "an append to nothing": lambda: client.beta.conversations.append(conversation_id="conv_unknown", inputs="hello"),
    }.items():
        error = raised(request)
        that(isinstance(error, sdk_error) and error.status_code == 404, f"{name} is a 404, not {error!r}")
    error = raised(lambda: client.beta.agents.list(page_size=0))
    that(isinstance(error, validation_error) and error.data.detail, f"a wrong parameter is a 422, not {error!r}")
    ok("errors: 404 and 422")


def raised(request):
    try:
        return request()
    except Exception as error:  # pylint: disable=broad-except
        return error
