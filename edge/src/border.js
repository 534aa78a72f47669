// The JavaScript half of `border.rs`.

let usual = [];
let answered = [];

/** Sets which headers are read of requests, and which of answers: their names, a line each. */
export function readHeaders(ofRequests, ofAnswers) {
  usual = ofRequests.split("\n");
  answered = ofAnswers.split("\n");
}

let known;

/** Whether a Worker's bindings are others than the last time. */
export function isNew(env) {
  if (env === known) return false;
  known = env;
  return true;
}

/** The names and values of those headers that are there, a line each, behind what is before them. */
function withHeaders(text, names, headers) {
  for (const name of names) {
    const value = headers.get(name);
    if (value !== null) text += `\n${name}\n${value}`;
  }
  return text;
}

/**
 * Method, address and headers. No value has a line's end in it: the runtime's parser takes folded
 * ones for one line, as HTTP/1.1 has it.
 */
export function readRequest({ method, url, headers }) {
  return withHeaders(`${method}\n${url}`, usual, headers);
}

/**
 * An answer with the headers of what was kept, if anything was, and those of `lines`, a name and a
 * value in turn: such as begin with a plus sign beside what is there, with a question mark only where
 * there is none of the name, all others in its place. An undefined body is the one that was kept.
 */
export function makeResponse(status, kept, lines, body) {
  const response = new Response(body === undefined ? kept.body : body, { status, headers: kept?.headers });
  const { headers } = response;
  const parts = lines.split("\n");
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const [name, value] = [parts[at], parts[at + 1]];
    if (name[0] === "+") headers.append(name.slice(1), value);
    else if (name[0] !== "?") headers.set(name, value);
    else if (!headers.has(name.slice(1))) headers.set(name.slice(1), value);
  }
  return response;
}

/** A body, whole; null where it has more bytes than `most`, whatever it announced. */
export async function readBody({ body }, most) {
  if (!body) return new Uint8Array();
  const room = new Uint8Array(most + 1);
  const { value } = await body.getReader({ mode: "byob" }).readAtLeast(most + 1, room);
  return value?.length > most ? null : value;
}

/** Waits for a promise, but not longer than so many milliseconds: then it is `late`. */
function within(limit, promise, late) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(late()), limit);
    const end = (tell) => (value) => {
      clearTimeout(timer);
      tell(value);
    };
    promise.then(end(resolve), end(reject));
  });
}

/** A request of these headers, a name and a value in turn, a line each. */
function initOf(method, lines, body) {
  const headers = {};
  const parts = lines.split("\n");
  for (let at = 0; at + 1 < parts.length; at += 2) headers[parts[at]] = parts[at + 1];
  return { method, headers, body, redirect: "manual", cache: "no-store" };
}

/** An answer's status and headers in one text, and its body, read to the end. */
async function readAnswer(response) {
  const head = withHeaders(String(response.status), answered, response.headers);
  return [head, new Uint8Array(await response.arrayBuffer())];
}

/**
 * Sends a request, and reads its answer; null where that takes too long. Of an answer of the media
 * type `unread` only the beginning is waited for: it comes as it is.
 */
export function send(method, url, lines, body, limit, unread) {
  const controller = new AbortController();
  const exchange = async () => {
    const init = { ...initOf(method, lines, body), signal: controller.signal };
    const response = await fetch(url, init);
    const type = response.headers.get("content-type")?.split(";")[0].trim().toLowerCase();
    return unread && response.status === 200 && type === unread ? ["", response] : readAnswer(response);
  };
  const abort = () => {
    controller.abort();
    return null;
  };
  return within(limit, exchange(), abort);
}

/** Sends a Durable Object a request, and reads its answer; null where that takes too long. */
export function sendObject(namespace, name, method, lines, body, limit) {
  const exchange = async () => {
    // The name is the object's: of the address nothing is used.
    const init = initOf(method, lines, body);
    return readAnswer(await namespace.getByName(name).fetch("https://object/", init));
  };
  return within(limit, exchange(), () => null);
}

/** Says something to a Durable Object, and reads what it answers, both as texts; null as above. */
export function askObject(namespace, name, message, limit) {
  const exchange = async () => {
    const init = { method: "POST", body: message };
    return (await namespace.getByName(name).fetch("https://object/", init)).text();
  };
  return within(limit, exchange(), () => null);
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

/** How long a call goes on whose caller has left, in milliseconds: the platform ends it at 30 seconds. */
const WITHOUT_CALLER = 25_000;

/**
 * Has a call go on where its caller hangs up, and then says something to a Durable Object: its
 * header, a name and a value in turn, a line each. What is given back takes that back, before
 * the caller leaves and after.
 */
export function whenLeft(request, context, namespace, object, header) {
  const [name, value] = header.split("\n");
  const { promise: over, resolve: end } = Promise.withResolvers();
  const goOn = async () => {
    const isLate = await within(WITHOUT_CALLER, over, () => true);
    if (!isLate) return;
    const init = { method: "POST", headers: { [name]: value } };
    await namespace.getByName(object).fetch("https://object/", init);
  };
  const left = () => context.waitUntil(goOn());
  request.signal.addEventListener("abort", left);
  return () => {
    request.signal.removeEventListener("abort", left);
    end();
  };
}
