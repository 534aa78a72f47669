// Holds the answers that tests get to the description of the API: what a route answers is listed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const { paths } = JSON.parse(readFileSync(new URL("../ui/openapi.json", import.meta.url), "utf8"));
const SEGMENTS = { id: "[\\w-]{1,64}", file: "\\d+-[0-9a-f-]{36}\\.\\w+" };
const ROUTES = Object.entries(paths).map(([path, operations]) => ({
  path,
  operations,
  pattern: new RegExp(`^${path.replace(/\{(\w+)\}/g, (_, name) => SEGMENTS[name])}$`),
}));

/** Fails where a route's answer is not in the description. Other methods and paths are not its. */
export function assertDocumented(method, target, status, headers) {
  // What the runtime refuses by itself the edge has not heard of.
  if (!headers.has("x-request-id")) return;
  const [path] = target.split(/[?#]/);
  const route = ROUTES.find(({ pattern }) => pattern.test(path));
  const operation = route?.operations[method.toLowerCase()];
  if (!operation) return;
  // A path that names no thing is always there; origins that were told no answer say this.
  if (status === 404 && !route.path.includes("{")) return;
  assert.ok(operation.responses[status], `${status} of ${method} ${route.path} is not in edge/ui/openapi.json`);
}
