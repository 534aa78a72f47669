// Requests over connections that are kept, so many at once.
import http from "node:http";

const AT_ONCE = 16;
const LIMIT_MS = 10_000;

/** Asks once; an answer of another status is an error. */
export function ask(url, { method = "GET", path, headers = {}, body, status = 200 }, agent = false) {
  return new Promise((resolve, reject) => {
    const request = http.request(`${url}${path}`, { agent, method, headers, timeout: LIMIT_MS });
    request.on("timeout", () => request.destroy(new Error(`${path}: no answer`)));
    request.on("error", reject);
    request.on("response", (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const body = Buffer.concat(chunks);
        if (response.statusCode === status) resolve({ headers: response.headers, body });
        else reject(new Error(`${method} ${path}: ${response.statusCode} ${body}`));
      });
    });
    request.end(body);
  });
}

/** Asks `count` times, 16 at once; `next()` says what. Answers the seconds that it took. */
export async function load(url, count, next) {
  // Its own connections: those that lie idle meanwhile are closed by workerd.
  const agent = new http.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  let left = count;
  const begun = performance.now();
  const one = async () => {
    while (left-- > 0) await ask(url, next(), agent);
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    return (performance.now() - begun) / 1000;
  } finally {
    agent.destroy();
  }
}
