// The JavaScript half of `border.rs`.

let usual = [];

/** Sets which headers `readRequest` reads: their names, a line each. */
export function readHeaders(names) {
  usual = names.split("\n");
}

let known;

/** Whether a Worker's bindings are others than the last time. */
export function isNew(env) {
  if (env === known) return false;
  known = env;
  return true;
}

/**
 * Method, address, and the names and values of those headers that are there, a line each. No value
 * has a line's end in it: the runtime's parser takes folded ones for one line, as HTTP/1.1 has it.
 */
export function readRequest({ method, url, headers }) {
  let text = `${method}\n${url}`;
  for (const name of usual) {
    const value = headers.get(name);
    if (value !== null) text += `\n${name}\n${value}`;
  }
  return text;
}

/**
 * An answer with these headers and those of `added`, a name and a value in turn, a line each: such
 * as begin with a question mark only where there is none of the name.
 */
export function makeResponse(status, given, added, body) {
  const response = new Response(body, { status, headers: given });
  const { headers } = response;
  const lines = added.split("\n");
  for (let at = 0; at + 1 < lines.length; at += 2) {
    const name = lines[at];
    if (name[0] !== "?") headers.set(name, lines[at + 1]);
    else if (!headers.has(name.slice(1))) headers.set(name.slice(1), lines[at + 1]);
  }
  return response;
}

/** A body, whole; null where it has more bytes than `most`, whatever it announced. */
export async function readBody(request, most) {
  const chunks = [];
  let length = 0;
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > most) return null;
    chunks.push(chunk);
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/**
 * What the platform's cache has under an address: undefined where it has nothing, null where the
 * namespace, if there is one, has something under the name `unless`.
 */
export async function cached(url, namespace, unless) {
  const found = await caches.default.match(url);
  const isMarked = found && namespace && (await namespace.get(unless)) !== null;
  return isMarked ? null : found;
}

/** Whether there is something in a KV namespace under one of these names, a line each. */
export async function hasAny(namespace, names) {
  const found = await Promise.all(names.split("\n").map((name) => namespace.get(name)));
  return found.some((value) => value !== null);
}

/** Writes a text into a KV namespace, with these options in JSON. */
export async function putText(namespace, name, text, options) {
  await namespace.put(name, text, JSON.parse(options));
}

/** What a KV namespace lists, by these options in JSON, as JSON. */
export async function listNames(namespace, options) {
  return JSON.stringify(await namespace.list(JSON.parse(options)));
}

/** Runs a statement with these values, a list in JSON: its rows, as lists too. */
export function runSql(sql, statement, values) {
  return JSON.stringify([...sql.exec(statement, ...(JSON.parse(values) ?? [])).raw()]);
}

/** Whether the platform's limiter lets one more of these through. */
export async function mayPass(limiter, key) {
  return (await limiter.limit({ key })).success;
}

/** Says something to a Durable Object, and reads what it answers, both as texts. */
export async function askObject(object, message) {
  // The name is the object's: of the address nothing is used.
  const answer = await object.fetch("https://object/", { method: "POST", body: message });
  return answer.text();
}

/** How long a call goes on whose caller has left, in milliseconds: the platform ends it at 30 seconds. */
const WITHOUT_CALLER = 25_000;

/**
 * Has a call go on where its caller hangs up, and then says something to a Durable Object: its
 * header, a name and a value in turn, a line each. What is given back takes that back.
 */
export function whenLeft(request, context, object, header) {
  const [name, value] = header.split("\n");
  const goOn = async () => {
    await new Promise((resolve) => setTimeout(resolve, WITHOUT_CALLER));
    await object.fetch("https://object/", { method: "POST", headers: { [name]: value } });
  };
  const left = () => context.waitUntil(goOn());
  request.signal.addEventListener("abort", left);
  return () => request.signal.removeEventListener("abort", left);
}
