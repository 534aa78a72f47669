import assert from "node:assert/strict";
import { once } from "node:events";
import test, { beforeEach } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { refuse } from "./origin.mjs";

// Short, so that an origin that says nothing is found out within a test's time.
const edge = useEdge({ bindings: { ORIGIN_TIMEOUT_SECONDS: "1" } });
const decoder = new TextDecoder();

beforeEach(() => edge.origin.requests.splice(0));

const begin = (response) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.flushHeaders();
};

test("each event arrives before the next one is sent", LIMIT, async () => {
  let stream;
  edge.origin.answer = (request, response) => begin((stream = response));
  const response = await edge.fetch("/api/jobs/1/events", { headers: { "last-event-id": "7" } });
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "text/event-stream");
  assert.equal(response.headers.get("cache-control"), "no-cache, no-transform");
  const { headers, url } = edge.origin.takeOne();
  assert.deepEqual([url, headers["last-event-id"]], ["/api/jobs/1/events", "7"]);
  assert.equal(headers.accept, "text/event-stream");

  const reader = response.body.getReader();
  for (const event of ["event: queued\n\n", ": still there\n\n", "event: progress\n\n"]) {
    stream.write(event);
    assert.equal(decoder.decode((await reader.read()).value), event);
  }
  stream.end();
  assert.equal((await reader.read()).done, true);
});

test("a stream outlasts the time an answer may take", LIMIT, async () => {
  let stream;
  edge.origin.answer = (request, response) => begin((stream = response));
  const response = await edge.fetch("/api/jobs/1/events");
  const reader = response.body.getReader();
  // A call that is not a stream is given up after that very time: its end is the clock.
  const slow = edge.fetch("/api/jobs/1");
  edge.origin.answer = () => {};
  await problem(await slow, 504, "origin_timeout");
  stream.write("data: 1\n\n");
  assert.equal(decoder.decode((await reader.read()).value), "data: 1\n\n");
  stream.end();
});

test("a caller who leaves is noticed at the origin's next word", LIMIT, async () => {
  let closed;
  edge.origin.answer = (request, response) => {
    begin(response);
    const speaking = setInterval(() => response.write(": still there\n\n"), 10);
    closed = once(response, "close").then(() => clearInterval(speaking));
  };
  const leave = new AbortController();
  const response = await edge.fetch("/api/jobs/1/events", { signal: leave.signal });
  await response.body.getReader().read();
  leave.abort();
  await closed;
});

test("a stream that does not begin is given up", LIMIT, async () => {
  let gone;
  edge.origin.answer = (request, response) => (gone = once(response, "close"));
  const response = await edge.fetch("/api/jobs/1/events");
  assert.equal(response.headers.get("retry-after"), "5");
  await problem(response, 504, "origin_timeout");
  await gone;
});

test("only what may be an event's id goes on", LIMIT, async () => {
  edge.origin.answer = (request, response) => begin(response) ?? response.end();
  for (const [id, sent] of [["a-1_b.c", "a-1_b.c"], ["\xe9\xff"], ["a\tb"], ["1".repeat(9000)]]) {
    const response = await edge.fetch("/api/jobs/1/events", { headers: { "last-event-id": id } });
    assert.equal(response.status, 200);
    await response.text();
    assert.equal(edge.origin.takeOne().headers["last-event-id"], sent);
  }
});

test("an unknown job is a problem and no stream", LIMIT, async () => {
  edge.origin.answer = (request, response) => refuse(request, response, 404, "not_found");
  await problem(await edge.fetch("/api/jobs/1/events"), 404, "not_found");
});
