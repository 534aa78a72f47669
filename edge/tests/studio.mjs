// Scripts an origin into one that makes pictures at once; each prompt says what is to happen.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { json, refuse } from "./origin.mjs";

export const MODEL = {
  name: "demo",
  revision: "r1",
  engine: "e1",
  default: true,
  defaults: { width: 128, height: 128, steps: 20, guidance_scale: 3, scheduler: "euler" },
  schedulers: ["euler"],
  formats: ["png", "jpeg", "webp"],
};

/** A PNG of one pixel, and what its preview shows. */
export const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
  "base64",
);
const PREVIEW = "data:image/png;base64,UFJFVklFVw==";
export const PREVIEW_BASE64 = PREVIEW.split(",")[1];

/** Scripts `edge`'s origin. Prompts: `fail`, `cancel`, `busy`, `break` (a stream, once), `lose`. */
export function useStudio(edge) {
  const studio = { jobs: new Map(), asked: [] };
  edge.origin.models = [MODEL];
  edge.origin.answer = (request, response, body) => {
    const { method, url } = request;
    if (method === "POST") return accept(studio, request, response, JSON.parse(body));
    const [, id] = /^\/api\/jobs\/(.+)\/events$/.exec(url) ?? [];
    if (id) return tell(studio.jobs.get(id), request, response);
    const [, index] = /^(?:\/private)?\/generated\/1700000000-[0-9a-f-]{24}(\d{12})\.png$/.exec(url) ?? [];
    assert.ok(index, url);
    if (Number(index) === 404) return refuse(request, response, 404, "not_found");
    response.writeHead(200, { "content-type": "image/png" }).end(PNG);
  };
  return studio;
}

function accept(studio, request, response, body) {
  studio.asked.push({ body, prefer: request.headers.prefer });
  if (body.prompt === "busy") {
    response.setHeader("retry-after", "7");
    return refuse(request, response, 429, "queue_full");
  }
  const { prompt, seed, previews = 0, n = 1 } = body;
  const recipe = {
    prompt,
    width: body.width ?? 128,
    height: body.height ?? 128,
    steps: body.steps ?? 20,
    guidance_scale: 3,
    scheduler: "euler",
    seed,
    model: "demo",
    revision: "r1",
    engine: "e1",
    format: body.format ?? "png",
  };
  const { visibility = "public" } = body;
  const images = Array.from({ length: n }, (_, i) => image(prompt === "lose" ? 404 : i, seed + i, visibility));
  const now = "2026-01-02T03:04:05.678Z";
  const job = {
    id: randomUUID(),
    status: "queued",
    task_id: null,
    created_at: now,
    started_at: null,
    finished_at: null,
    progress: { step: 0, steps: recipe.steps },
    queue_position: 0,
    eta_seconds: null,
    images: [],
    error: null,
    recipe,
  };
  studio.jobs.set(job.id, { job, images, previews, broken: false });
  if (prompt === "cached") {
    const done = { ...job, status: "succeeded", images };
    return json(response, 200, { job: done, images, image_url: images[0].url, cached: true, recipe });
  }
  json(response, 202, { job, images: [], image_url: null, cached: false, recipe });
}

function image(index, seed, visibility) {
  const key = `${visibility === "private" ? "private/" : ""}generated/1700000000-01234567-89ab-cdef-0123-${String(index).padStart(12, "0")}.png`;
  return {
    id: randomUUID(),
    url: `http://edge.test/${key}`,
    key,
    width: 128,
    height: 128,
    content_type: "image/png",
    bytes: PNG.length,
    sha256: "0".repeat(64),
    seed,
    visibility,
  };
}

function tell(entry, request, response) {
  const { job, images, previews } = entry;
  const events = [["queued", {}], ["progress", { step: 0 }]];
  for (let i = 1; i <= previews; i += 1) events.push(["progress", { step: i, preview: PREVIEW }]);
  const error = { code: "generation_failed", message: "the engine failed" };
  const ends = { fail: ["failed", { error }], cancel: ["canceled", { error: null }] };
  events.push(ends[job.recipe.prompt] ?? ["succeeded", { images, error: null }]);

  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write(":\n\n");
  const seen = Number(request.headers["last-event-id"] ?? 0);
  const breaks = job.recipe.prompt === "break" && !entry.broken;
  entry.broken = true;
  for (const [i, [name, data]] of events.entries()) {
    if (i < seen) continue;
    // In the middle of an event.
    if (breaks && i === 3) return response.end(`id: 4\nevent: ${name}\ndata: {"preview"`);
    response.write(`id: ${i + 1}\nevent: ${name}\ndata: ${JSON.stringify({ id: job.id, ...data })}\n\n`);
  }
  response.end();
}
