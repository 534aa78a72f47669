import { sha256, toHex } from "./auth.js";
import { parseObject, readBody } from "./body.js";
import { askOrigin } from "./origin.js";
import { Problem } from "./problem.js";
import { complete, requestOf } from "./recipe.js";

let models = { until: 0 };

export async function generate(call, caller) {
  const { env, context } = call;
  const text = await readBody(call, 20 * 1024 * 1024);
  const request = requestOf(parseObject(text));
  const recipe = complete(request, await modelsOf(call));
  const hash = toHex(await sha256(JSON.stringify(recipe, Object.keys(recipe).sort())));
  const owner = request.visibility === "private" ? `private:${caller.account}` : "public";
  const name = `${owner}:${hash}:${request.n}`;

  const job = crypto.randomUUID();
  const ledger = env.KEY_ALLOWANCES.getByName(caller.ledger);
  const allowance = { requests: limitOf(env.RATE_PER_MINUTE, 60), images: limitOf(env.DAILY_IMAGES, 86_400) };
  const take = { allowance, job: { id: job, account: caller.account, images: request.n } };
  const [taken, found] = await Promise.all([tell(ledger, { take }), finishedOf(env, name)]);
  if (taken.refused) throw new Problem(429, "rate_limited", "too many");

  let answer;
  if (found !== null) {
    context.waitUntil(tell(ledger, { ended: { job, made: false } }));
    answer = found;
    if ("request_id" in answer) answer.request_id = call.requestId;
    answer.job.task_id = request.task_id ?? null;
    answer.cached = true;
  } else {
    const made = await askOrigin(call, "POST", "/api/media/generate-image", caller.account, text);
    if (made.status !== 200) throw new Problem(502, "origin_unreachable", "the origin cannot be reached");
    answer = await made.json();
    context.waitUntil(tell(ledger, { ended: { job, made: true } }));
    const kept = { expirationTtl: 30 * 86_400 };
    context.waitUntil(env.RECIPES.put(name, JSON.stringify(answer), kept));
  }
  const item = (name, { limit, window }) => `"${name}";q=${limit};w=${window}`;
  const left = (name, { remaining, resets_in }) => `"${name}";r=${remaining};t=${resets_in}`;
  const both = (one) => ["requests", "images"].map(one).join(", ");
  return Response.json(answer, {
    headers: {
      "cache-control": "no-store",
      "ratelimit-policy": both((name) => item(name, allowance[name])),
      ratelimit: both((name) => left(name, taken[name])),
      "cache-status": found === null ? "darkroom-edge; fwd=miss" : "darkroom-edge; hit",
    },
  });
}

/** What was answered before, unless one of its pictures was deleted. */
async function finishedOf(env, name) {
  const found = await env.RECIPES.get(name);
  if (found === null) return null;
  const answer = JSON.parse(found);
  const marks = await Promise.all(answer.images.map(({ key }) => env.RECIPES.get(`deleted:/${key}`)));
  return marks.some((mark) => mark !== null) ? null : answer;
}

function limitOf(text, window) {
  const limit = Number(text?.trim());
  if (!Number.isSafeInteger(limit) || limit < 1) throw new Problem(503, "unavailable", "not configured");
  return { limit, window };
}

async function tell(ledger, message) {
  const answer = await ledger.fetch("https://object/", { method: "POST", body: JSON.stringify(message) });
  return answer.json();
}

async function modelsOf(call) {
  if (Date.now() >= models.until) {
    const answer = await askOrigin(call, "GET", "/api/models", "anonymous");
    models = { items: (await answer.json()).items, until: Date.now() + 60_000 };
  }
  return models.items;
}
