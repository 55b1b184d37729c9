// The official TypeScript SDK against TRAMONTANE_URL: conversations plain and streaming, agents, models. The SDK turns
// what it finds ill-formed into {type: "UNKNOWN", isUnknown: true} and drops it without a word, so that is looked for
// in every value that comes back. What is printed as "ok:" has been checked; the first miss ends the program.

import { Mistral } from "@mistralai/mistralai";
import * as errors from "@mistralai/mistralai/models/errors";

const client = new Mistral({
  apiKey: process.env["MISTRAL_API_KEY"] ?? "none",
  serverURL: process.env["TRAMONTANE_URL"],
});
const { agents, conversations } = client.beta;
const model = "mistral-medium-latest";
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current temperature at a location, in degrees Celsius.",
    parameters: {
      type: "object",
      properties: { location: { type: "string", description: "name of the city" } },
      required: ["location"],
    },
  },
};

function that(condition, what) {
  if (!condition) throw new Error(`FAIL: ${what}`);
}

function ok(what) {
  console.log(`ok: ${what}`);
}

// whole fails on anything in a value that the SDK could not read.
function whole(value, path) {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  that(!value.isUnknown && value.type !== "UNKNOWN", `${path} is unknown to the SDK: ${JSON.stringify(value.raw ?? value)}`);
  for (const [key, inner] of Object.entries(value)) whole(inner, `${path}.${key}`);
  return value;
}

function has(value, path, fields) {
  for (const field of fields) {
    that(value[field] !== undefined && value[field] !== null && value[field] !== "", `${path} lacks ${field}: ${JSON.stringify(value)}`);
  }
}

const entryFields = {
  "message.input": ["role", "content"],
  "message.output": ["role", "content"],
  "function.call": ["toolCallId", "name", "arguments"],
  "function.result": ["toolCallId", "result"],
};
const eventFields = {
  "conversation.response.started": ["conversationId"],
  "conversation.response.done": ["usage"],
  "message.output.delta": ["id", "content", "role"],
  "function.call.delta": ["id", "name", "toolCallId"],
};

function goodEntry(entry, path) {
  whole(entry, path);
  that(entry.type in entryFields, `${path} has type ${entry.type}`);
  has(entry, path, ["object", "id", "createdAt", ...entryFields[entry.type]]);
  return entry;
}

function goodResponse(response, path) {
  whole(response, path);
  has(response, path, ["object", "conversationId", "usage"]);
  that(response.object === "conversation.response", `${path} is a ${response.object}`);
  that(response.outputs.length > 0, `${path} has outputs`);
  response.outputs.forEach((entry, i) => goodEntry(entry, `${path}.outputs[${i}]`));
  goodUsage(response.usage, path);
  return response;
}

function goodUsage(usage, path) {
  const { promptTokens, completionTokens, totalTokens, connectorTokens } = usage;
  that(totalTokens === promptTokens + completionTokens + (connectorTokens ?? 0), `${path}: usage adds up: ${JSON.stringify(usage)}`);
}

// collect reads a stream to its end and returns its one output, put together from its deltas.
async function collect(stream, path) {
  const output = { text: "", arguments: "" };
  const types = [];
  let index = 0;
  for await (const { event, data } of stream) {
    whole(data, `${path}[${types.length}]`);
    that(event === data.type && event in eventFields, `${path}: event ${event} has data of type ${data.type}`);
    has(data, `${path}[${types.length}]`, ["createdAt", ...eventFields[event]]);
    that((data.outputIndex ?? index) >= index, `${path}: outputs come in order`);
    index = data.outputIndex ?? index;
    types.push(event);
    if (event === "conversation.response.started") output.conversationId = data.conversationId;
    if (event === "conversation.response.done") goodUsage(data.usage, path);
    if (event === "message.output.delta") {
      output.id = data.id;
      output.text += data.content;
    }
    if (event === "function.call.delta") {
      Object.assign(output, { id: data.id, name: data.name, toolCallId: data.toolCallId });
      output.arguments += data.arguments;
    }
  }
  that(types[0] === "conversation.response.started", `${path} starts with ${types[0]}`);
  that(types.at(-1) === "conversation.response.done", `${path} ends with ${types.at(-1)}`);
  that(types.length > 2, `${path} has an output`);
  return output;
}

function callsWeather(call, location, path) {
  that(call.name === "get_weather", `${path} calls get_weather, not ${call.name}`);
  const args = typeof call.arguments === "string" ? JSON.parse(call.arguments) : call.arguments;
  that(args.location === location && Object.keys(args).length === 1, `${path} asks for ${location}: ${JSON.stringify(args)}`);
}

const answer = (toolCallId, result) => [{ type: "function.result", toolCallId, result }];

async function history(conversationId, want) {
  const { object, entries } = await conversations.getHistory({ conversationId });
  that(object === "conversation.history", `history is a ${object}`);
  entries.forEach((entry, i) => goodEntry(entry, `history[${i}]`));
  const types = entries.map((entry) => entry.type);
  that(JSON.stringify(types) === JSON.stringify(want), `history is ${types}, not ${want}`);
  return entries;
}

async function raised(request) {
  try {
    await request();
  } catch (error) {
    return error;
  }
  throw new Error("FAIL: nothing was raised");
}

const turn = ["message.input", "function.call", "function.result", "message.output"];

async function plain() {
  const first = goodResponse(await conversations.start({ model, tools: [weather], inputs: "What is the weather in Tokyo?" }), "start");
  const conversationId = first.conversationId;
  callsWeather(first.outputs[0], "Tokyo", "start");
  ok("conversations.start");

  const second = goodResponse(
    await conversations.append({
      conversationId,
      conversationAppendRequest: { inputs: answer(first.outputs[0].toolCallId, "21.5") },
    }),
    "append",
  );
  that(second.conversationId === conversationId, "an append keeps the conversation's id");
  that(second.outputs[0].content.includes("21.5"), `the answer holds the result: ${second.outputs[0].content}`);
  ok(`conversations.append: ${second.outputs[0].content}`);

  const entries = await history(conversationId, turn);
  that(entries[1].toolCallId === entries[2].toolCallId, "the result belongs to the call");
  that(entries[3].id === second.outputs[0].id, "the history holds the outputs as they were returned");
  const { messages } = await conversations.getMessages({ conversationId });
  messages.forEach((entry, i) => goodEntry(entry, `messages[${i}]`));
  that(messages.map((m) => m.id).join() === [entries[0].id, entries[3].id].join(), "messages are those of the history");
  ok("conversations.getHistory, getMessages");

  const again = goodResponse(
    await conversations.restart({
      conversationId,
      conversationRestartRequest: { fromEntryId: entries[3].id, inputs: "What is the weather in London?" },
    }),
    "restart",
  );
  that(again.conversationId !== conversationId, "a restart is a new conversation");
  callsWeather(again.outputs[0], "London", "restart");
  await history(again.conversationId, [...turn, "message.input", "function.call"]);
  await history(conversationId, turn);
  ok("conversations.restart");

  const got = whole(await conversations.get({ conversationId }), "conversation");
  has(got, "conversation", ["object", "id", "createdAt", "updatedAt", "model"]);
  that(got.id === conversationId && got.model === model && got.agentId === undefined, "a model's conversation");
  that(got.tools.length === 1 && got.tools[0].function.name === "get_weather", "with its tools");
  const listed = whole(await conversations.list({ pageSize: 1000 }), "conversations");
  that(listed.some((c) => c.id === conversationId) && listed.some((c) => c.id === again.conversationId), "both are in the list");
  that((await conversations.list({ page: 1, pageSize: 1 })).length === 1, "the second page of one holds one");
  ok("conversations.get, list");

  for (const id of [conversationId, again.conversationId]) await conversations.delete({ conversationId: id });
  const error = await raised(() => conversations.get({ conversationId }));
  that(error instanceof errors.SDKError && error.statusCode === 404, `a deleted conversation is a 404: ${error}`);
  ok("conversations.delete");
}

async function streaming() {
  const first = await collect(await conversations.startStream({ model, tools: [weather], inputs: "What is the weather in Tokyo?" }), "startStream");
  callsWeather(first, "Tokyo", "startStream");
  ok("conversations.startStream");

  const { conversationId } = first;
  const second = await collect(
    await conversations.appendStream({
      conversationId,
      conversationAppendStreamRequest: { inputs: answer(first.toolCallId, "21.5") },
    }),
    "appendStream",
  );
  that(second.conversationId === conversationId && second.text.includes("21.5"), `the answer holds the result: ${second.text}`);
  const entries = await history(conversationId, turn);
  that(entries[1].id === first.id && entries[3].id === second.id, "ids in streams are ids in the history");
  that(entries[3].content === second.text, "the deltas make the entry");
  ok("conversations.appendStream");

  const third = await collect(
    await conversations.restartStream({
      conversationId,
      conversationRestartStreamRequest: { fromEntryId: second.id, inputs: "What is the weather in London?" },
    }),
    "restartStream",
  );
  that(third.conversationId !== conversationId, "a restart is a new conversation");
  callsWeather(third, "London", "restartStream");
  ok("conversations.restartStream");
  for (const id of [conversationId, third.conversationId]) await conversations.delete({ conversationId: id });
}

async function withAgent() {
  const fields = ["object", "id", "name", "model", "version", "versions", "createdAt", "updatedAt", "source"];
  const good = (agent, path) => {
    has(whole(agent, path), path, fields);
    that(agent.object === "agent" && typeof agent.deploymentChat === "boolean", `${path} is an agent`);
    return agent;
  };
  const agent = good(await agents.create({ model, name: "weather teller", instructions: "You are able to tell the weather.", tools: [weather] }), "create");
  const agentId = agent.id;
  ok("agents.create");

  that(good(await agents.get({ agentId }), "get").instructions === agent.instructions, "an agent is got as it was created");
  const listed = await agents.list({ pageSize: 1000 });
  listed.forEach((a, i) => good(a, `list[${i}]`));
  that(listed.some((a) => a.id === agentId), "the agent is in the list");
  ok("agents.get, list");

  const updated = good(await agents.update({ agentId, updateAgentRequest: { description: "tells the weather" } }), "update");
  that(updated.version === agent.version + 1 && updated.description === "tells the weather", "an update makes a version");
  that(updated.tools.length === 1 && updated.name === agent.name, "and changes nothing else");
  const versions = await agents.listVersions({ agentId });
  versions.forEach((a, i) => good(a, `versions[${i}]`));
  that(versions.map((a) => a.version).sort().join() === [agent.version, updated.version].join(), "both versions are listed");
  const old = good(await agents.getVersion({ agentId, version: String(agent.version) }), "getVersion");
  that(old.version === agent.version && old.description !== updated.description, "the old version stays as it was");
  ok("agents.update, listVersions, getVersion");

  const response = goodResponse(await conversations.start({ agentId, inputs: "What is the weather in Tokyo?" }), "start");
  const { conversationId } = response;
  callsWeather(response.outputs[0], "Tokyo", "start");
  const conversation = whole(await conversations.get({ conversationId }), "conversation");
  that(conversation.agentId === agentId && conversation.model === undefined, "an agent's conversation");
  await conversations.delete({ conversationId });
  ok("conversations.start with an agent");

  await agents.delete({ agentId });
  const error = await raised(() => agents.get({ agentId }));
  that(error instanceof errors.SDKError && error.statusCode === 404, `a deleted agent is a 404: ${error}`);
  ok("agents.delete");
}

async function models() {
  const list = whole(await client.models.list(), "models");
  that(list.object === "list" && list.data.length > 0, "there are models");
  for (const card of list.data) has(card, "model", ["id", "object", "capabilities", "type"]);
  const modelId = list.data[0].id;
  that(whole(await client.models.retrieve({ modelId }), "model").id === modelId, "a model is got by its id");
  ok(`models.list, retrieve: ${list.data.map((card) => card.id)}`);
}

async function refusals() {
  const error = await raised(() => agents.list({ pageSize: 0 }));
  that(error instanceof errors.HTTPValidationError && error.detail?.length > 0, `a wrong parameter is a 422 that the SDK reads: ${error}`);
  ok("errors: 404 and 422");
}

await plain();
await streaming();
await withAgent();
await models();
await refusals();
