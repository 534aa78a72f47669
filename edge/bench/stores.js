// What stands behind both workers, in memory and in their process: the Cache API's store and the KV
// namespaces as workerd asks for them, and an origin.
const cached = new Map();
const kept = new Map();
const PICTURE = new Uint8Array(10_000).map((_, at) => at * at);

/** A PUT's body is the whole answer, headers and all, as it would go over the wire. */
async function readAnswer(request) {
  const bytes = new Uint8Array(await request.arrayBuffer());
  const end = bytes.findIndex((_, at) => [13, 10, 13, 10].every((byte, i) => bytes[at + i] === byte));
  const [, ...lines] = new TextDecoder().decode(bytes.subarray(0, end)).split("\r\n");
  const headers = lines.map((line) => line.split(/: ?(.*)/, 2));
  return { headers: [...headers, ["CF-Cache-Status", "HIT"]], body: bytes.slice(end + 4) };
}

export const cache = {
  async fetch(request) {
    if (request.method === "PUT") {
      cached.set(request.url, await readAnswer(request));
      return new Response(null, { status: 204 });
    }
    const found = cached.get(request.url);
    if (found) return new Response(found.body, { headers: found.headers });
    return new Response(null, { status: 504, headers: { "CF-Cache-Status": "MISS" } });
  },
};

export const kv = {
  async fetch(request) {
    const name = new URL(request.url).pathname;
    if (request.method === "PUT") {
      kept.set(name, await request.text());
      return new Response();
    }
    const found = kept.get(name);
    return found === undefined ? new Response(null, { status: 404 }) : new Response(found);
  },
};

const MODEL = {
  name: "demo",
  revision: "r1",
  engine: "e1",
  default: true,
  defaults: { width: 128, height: 128, steps: 20, guidance_scale: 3, scheduler: "euler" },
  schedulers: ["euler", "unipc"],
  formats: ["png", "webp"],
};

function image(id, visibility) {
  const key = `${visibility === "private" ? "private/" : ""}generated/1700000000-${id}.png`;
  const [sha256, size] = ["0".repeat(64), { width: 128, height: 128 }];
  return { id, url: `http://edge/${key}`, key, ...size, content_type: "image/png", bytes: 10_000, sha256, seed: 1, visibility };
}

function generated({ prompt, seed }) {
  const { defaults, revision, engine, name: model } = MODEL;
  const recipe = { prompt, ...defaults, seed, model, revision, engine, format: "png" };
  const images = [image("01234567-89ab-4def-8123-456789abcdef", "public")];
  const times = { created_at: "2026-01-01T00:00:00Z", started_at: null, finished_at: null };
  const job = {
    ...{ id: "j", status: "succeeded", task_id: null, ...times, progress: { step: 20, steps: 20 } },
    ...{ queue_position: null, eta_seconds: null, images, error: null, recipe },
  };
  return { job, images, image_url: images[0].url, cached: false, recipe };
}

export const origin = {
  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === "/api/models") return Response.json({ items: [MODEL], next_cursor: null });
    if (pathname === "/api/media/generate-image") return Response.json(generated(await request.json()));
    if (pathname.startsWith("/api/images/")) return Response.json(image(pathname.slice(12), "private"));
    return new Response(PICTURE, { headers: { "content-type": "image/png", etag: '"abc"' } });
  },
};
