// Runs OpenAI's own client for Python against the edge: `scripts/test` says with which Python.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import test from "node:test";
import { fileURLToPath } from "node:url";
import { API_KEY, useEdge } from "./harness.mjs";
import { PNG, PREVIEW_BASE64, useStudio } from "./studio.mjs";

const edge = useEdge();

// Importing the client takes a while.
test("OpenAI's client for Python works unchanged", { timeout: 120_000 }, async () => {
  const studio = useStudio(edge);
  const environment = {
    EDGE_URL: edge.url, API_KEY, PNG: PNG.toString("base64"), PREVIEW: PREVIEW_BASE64,
  };
  const script = fileURLToPath(new URL("openai_python.py", import.meta.url));
  const options = { env: { ...process.env, ...environment } };
  const output = await new Promise((resolve, reject) => {
    execFile(process.env.OPENAI_PYTHON, [script], options, (error, stdout, stderr) => {
      error ? reject(new Error(`${error.message}\n${stdout}`)) : resolve(stderr);
    });
  });
  assert.match(output, /^Ran 5 tests/m);
  // What was called off is asked for once, though the client may try again.
  assert.equal(studio.asked.filter(({ body }) => body.prompt === "cancel").length, 1);
});
