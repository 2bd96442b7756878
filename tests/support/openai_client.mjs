// The official JavaScript client of OpenAI against a server whose address is the first argument.
// Writes "ok NAME" for each check; the first that fails ends the program.
// Run where the package openai is installed: node openai_client.mjs http://127.0.0.1:8000/v1
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "index.js"));
const OpenAI = require("openai").default ?? require("openai");

const [baseURL] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 });
const model = "plain";
const hello = [{ role: "user", content: "Say hello to my friend Bo." }];
const parameters = {
  type: "object",
  properties: { city: { type: "string", description: "The city." } },
  required: ["city"],
  additionalProperties: false,
};
const weather = {
  type: "function",
  function: { name: "get_weather", description: "Get the current weather of a city.", parameters },
};
const asked = [{ role: "user", content: "What is the weather in Paris right now?" }];
const place = { name: "place", schema: parameters, strict: true };

const checks = {
  async models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    assert.deepEqual(ids, ["plain", "bo-lind"]);
    assert.equal((await client.models.retrieve("Bo Lind")).object, "model");
  },

  async "stream with usage"() {
    const settings = { model, messages: hello, seed: 5, max_tokens: 12 };
    const whole = await client.chat.completions.create(settings);
    const stream = await client.chat.completions.create({
      ...settings,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.ok(text.length > 0);
    assert.deepEqual(usage, whole.usage);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  },

  async "several choices, stop, system messages"() {
    const answer = await client.chat.completions.create({
      model,
      messages: [
        { role: "system", content: "You are a baker." },
        { role: "developer", content: [{ type: "text", text: "Be brief." }] },
        ...hello,
      ],
      n: 2,
      seed: 1,
      max_completion_tokens: 12,
      temperature: 0.9,
      top_p: 0.9,
      stop: ["\n", "e"],
    });
    assert.equal(answer.choices.length, 2);
    for (const choice of answer.choices) assert.ok(!choice.message.content.includes("e"));
  },

  async logprobs() {
    const answer = await client.chat.completions.create({
      model,
      messages: hello,
      max_tokens: 5,
      temperature: 0,
      logprobs: true,
      top_logprobs: 2,
    });
    const { content } = answer.choices[0].logprobs;
    assert.equal(content.map((one) => one.token).join(""), answer.choices[0].message.content);
    for (const one of content) {
      assert.ok(one.logprob <= 0);
      assert.equal(one.top_logprobs.length, 2);
    }
  },

  async "JSON by a schema"() {
    const answer = await client.chat.completions.create({
      model,
      messages: asked,
      max_tokens: 24,
      response_format: { type: "json_schema", json_schema: place },
    });
    assert.equal(typeof JSON.parse(answer.choices[0].message.content).city, "string");
  },

  async "a tool and its result"() {
    const first = await client.chat.completions.create({ model, messages: asked, tools: [weather] });
    const [choice] = first.choices;
    assert.equal(choice.finish_reason, "tool_calls");
    const [call] = choice.message.tool_calls;
    assert.equal(call.function.name, "get_weather");
    assert.equal(JSON.parse(call.function.arguments).city, "Paris");
    const messages = [
      ...asked,
      choice.message,
      { role: "tool", tool_call_id: call.id, content: "18 degrees and sunny" },
    ];
    const told = await client.chat.completions.create({
      model,
      messages,
      tools: [weather],
      max_tokens: 16,
    });
    assert.equal(told.choices[0].finish_reason === "tool_calls", false);
    const forced = await client.chat.completions.create({
      model,
      messages: hello,
      tools: [weather],
      tool_choice: { type: "function", function: { name: "get_weather" } },
    });
    assert.equal(forced.choices[0].finish_reason, "tool_calls");
  },

  async "the client's tool runner"() {
    let called = null;
    const runner = client.chat.completions.runTools({
      model,
      messages: asked,
      max_tokens: 100,
      temperature: 0,
      stop: ["\n", "."],
      tools: [
        {
          type: "function",
          function: {
            ...weather.function,
            parse: JSON.parse,
            function: ({ city }) => {
              called = city;
              return "18 degrees and sunny";
            },
          },
        },
      ],
    });
    assert.ok((await runner.finalContent()).length > 0);
    assert.equal(called, "Paris");
  },

  async embeddings() {
    const texts = ["bread", "a harbour"];
    const answer = await client.embeddings.create({ model, input: texts });
    const floats = await client.embeddings.create({ model, input: texts, encoding_format: "float" });
    assert.equal(answer.data.length, 2);
    assert.ok(Math.abs(answer.data[0].embedding[0] - floats.data[0].embedding[0]) < 1e-6);
    assert.ok(answer.usage.prompt_tokens > 0);
  },

  async responses() {
    const settings = { model, max_output_tokens: 12 };
    const first = await client.responses.create({ ...settings, input: "Hello!" });
    assert.ok(first.output_text.length > 0);
    const second = await client.responses.create({
      ...settings,
      input: "And now?",
      instructions: "Be brief.",
      previous_response_id: first.id,
    });
    assert.equal(second.previous_response_id, first.id);
    assert.equal((await client.responses.retrieve(second.id)).id, second.id);
    const called = await client.responses.create({
      model,
      input: asked[0].content,
      tools: [{ type: "function", ...weather.function, strict: true }],
    });
    assert.equal(called.output[0].type, "function_call");
  },

  async "events of a response"() {
    const stream = await client.responses.create({
      model,
      input: "Hello!",
      max_output_tokens: 8,
      stream: true,
    });
    let text = "";
    let last = null;
    for await (const event of stream) {
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event;
    }
    assert.ok(["response.completed", "response.incomplete"].includes(last.type));
    assert.equal(last.response.output[0].content[0].text, text);
  },

  async "an agent with memory"() {
    const answer = await client.chat.completions.create({
      model: "bo-lind",
      messages: hello,
      user: "Jo",
    });
    assert.ok(answer.choices[0].message.content.length > 0);
  },

  async "errors"() {
    await assert.rejects(
      client.chat.completions.create({ model, messages: hello, logit_bias: { 5: 1 } }),
      (error) => error.status === 400 && error.param.startsWith("logit_bias"),
    );
    await assert.rejects(
      client.chat.completions.create({ model: "nobody", messages: hello }),
      (error) => error.status === 404 && error.code === "model_not_found",
    );
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`ok ${name}`);
}
