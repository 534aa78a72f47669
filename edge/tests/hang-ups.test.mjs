import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import test from "node:test";
import { API_KEY, LIMIT, useEdge } from "./harness.mjs";
import { useStudio } from "./studio.mjs";

const edge = useEdge();
const BODY = '{"prompt":"p"}';

/** Sends a request by hand, so that the connection can be broken in the middle of anything. */
function begin(method, path, { length = 0, body = "" } = {}) {
  const { hostname, port, host } = new URL(edge.url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.write(
    `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${API_KEY}\r\n` +
      `Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n${body}`,
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
  for (const stream of [false, true]) {
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
    const socket = begin("POST", "/v1/images/generations", { length: body.length, body });
    const { closed } = await followed;
    if (stream) await once(socket, "data");
    socket.resetAndDestroy();
    await closed;
  }
  assert.equal(studio.asked.length, 2);
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
