import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { connect } from "node:net";
import { describe, test } from "node:test";
import { API_KEY, LIMIT, useEdge } from "./harness.mjs";
import { json, refuse } from "./origin.mjs";
import { useStudio } from "./studio.mjs";
import { wrapped } from "./wrapped.mjs";

const edge = useEdge();
const BODY = '{"prompt":"p"}';

/** Sends a request by hand, so that the connection can be broken in the middle of anything. */
function begin(method, path, { length = 0, body = "", headers = "", at = edge } = {}) {
  const { hostname, port, host } = new URL(at.url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.write(
    `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${API_KEY}\r\n` +
      `${headers}Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`,
  );
  return socket;
}

test("who breaks off a stream ends it at the origin, though that says nothing more", LIMIT, async () => {
  let closed;
  edge.origin.answer = (request, response) => {
    closed = once(response, "close");
    response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
  };
  const socket = begin("GET", "/api/jobs/1/events");
  const answer = socket.setEncoding("utf8").iterator({ destroyOnReturn: false });
  for await (const data of answer) if (data.includes("data: 1")) break;
  socket.resetAndDestroy();
  await closed;
});

test("who breaks off waiting is no longer waited for", LIMIT, async () => {
  for (const [method, path, body] of [
    ["POST", "/api/media/generate-image", BODY],
    ["GET", "/api/jobs/1", ""],
    ["GET", "/api/jobs/1/events", ""],
  ]) {
    const asked = new Promise((resolve) => (edge.origin.answer = (_, response) => resolve(response)));
    const socket = begin(method, path, { length: body.length, body });
    const response = await asked;
    socket.resetAndDestroy();
    await once(response, "close");
  }
});

test("who breaks off under /v1 is no longer waited for, nor is the job followed", LIMIT, async () => {
  const studio = useStudio(edge);
  const accept = edge.origin.answer;
  const keyed = `Idempotency-Key: ${randomUUID()}\r\n`;
  for (const [stream, headers] of [[false, ""], [true, ""], [true, keyed]]) {
    const followed = new Promise((resolve) => {
      edge.origin.answer = (request, response, body) => {
        if (request.method === "POST") return accept(request, response, body);
        response.writeHead(200, { "content-type": "text/event-stream" });
        const speaking = setInterval(() => response.write(":\n\n"), 10);
        const closed = once(response, "close").finally(() => clearInterval(speaking));
        resolve({ closed });
      };
    });
    const body = JSON.stringify({ prompt: "p", stream });
    const socket = begin("POST", "/v1/images/generations", { headers, length: body.length, body });
    const { closed } = await followed;
    if (stream) await once(socket, "data");
    socket.resetAndDestroy();
    await closed;
  }
  assert.equal(studio.asked.length, 3);
});

test("half a body is no request", LIMIT, async () => {
  edge.origin.requests.length = 0;
  const socket = begin("POST", "/api/media/generate-image", { length: BODY.length + 1, body: BODY });
  socket.end();
  let answer = "";
  for await (const data of socket.setEncoding("utf8")) answer += data;
  assert.match(answer, /^HTTP\/1\.1 400 .*"code":"malformed_request"/s);
  assert.equal(edge.origin.requests.length, 0);
});

describe("who breaks off a call under an Idempotency-Key", () => {
  /**
   * The edge, which says when a caller has left, and goes on without one for so many milliseconds;
   * it says too when it stops before.
   */
  const noticing = (milliseconds) => ({
    options: wrapped(
      `
      import "./clock.js";
      import edge from "./index.js";
      export * from "./index.js";
      export default {
        fetch(request, ...rest) {
          request.signal.addEventListener("abort", () => console.log("the caller has left"));
          return edge.fetch(request, ...rest);
        },
      };
      `,
      {
        "clock.js": `
          const { setTimeout: set, clearTimeout: clear } = globalThis;
          const ends = new Set();
          globalThis.setTimeout = (work, time) => {
            if (time !== 25_000) return set(work, time);
            const end = set(work, ${milliseconds});
            ends.add(end);
            return end;
          };
          globalThis.clearTimeout = (timer) => {
            clear(timer);
            if (ends.delete(timer)) console.log("no need to go on");
          };
        `,
      },
    ),
  });

  async function breakOff(at) {
    const asked = new Promise((resolve) => {
      at.origin.answer = (request, response) => resolve({ request, response });
    });
    const key = randomUUID();
    const headers = `Idempotency-Key: ${key}\r\n`;
    const socket = begin("POST", "/api/media/generate-image", { at, headers, length: BODY.length, body: BODY });
    const { request, response } = await asked;
    socket.resetAndDestroy();
    await at.log.until(/the caller has left/);
    return { key, request, response };
  }

  /** Sends the call again until it is no longer being answered. */
  async function again(at, key) {
    for (;;) {
      const answer = await at.generate(BODY, { headers: { "idempotency-key": key } });
      if (answer.status !== 409) return answer;
    }
  }

  const patient = useEdge(noticing(25_000));
  test("finds its answer", LIMIT, async () => {
    const { key, response } = await breakOff(patient);
    json(response, 200, { job: { id: "1" }, images: [] });
    const answer = await again(patient, key);
    assert.equal(answer.headers.get("idempotency-replayed"), "true");
    assert.equal((await answer.json()).job.id, "1");
    await patient.log.until(/no need to go on/);
  });

  const failing = useEdge(noticing(25_000));
  test("is no longer gone on for when it has failed", LIMIT, async () => {
    const { key, request, response } = await breakOff(failing);
    refuse(request, response, 429, "queue_full");
    await failing.log.until(/no need to go on/);
    failing.origin.answer = (request, response) => json(response, 200, { job: { id: request.url }, images: [] });
    const answer = await again(failing, key);
    assert.notEqual((await answer.json()).job.id, request.url);
  });

  const short = useEdge(noticing(100));
  test("finds its job where the answer takes longer", LIMIT, async () => {
    const { key, request: { url: job } } = await breakOff(short);
    short.origin.answer = (request, response) => json(response, 200, { job: { id: request.url }, images: [] });
    const answer = await again(short, key);
    assert.equal(answer.headers.get("idempotency-replayed"), null);
    assert.equal((await answer.json()).job.id, job);
  });
});
