// A request's fields, checked, and the recipe that it comes to.
import { Problem } from "./problem.js";

const whole = (min, max, step = 1) => (value) =>
  Number.isSafeInteger(value) && value >= min && value <= max && value % step === 0;
const number = (min, max) => (value) => typeof value === "number" && value >= min && value <= max;
const oneOf = (...names) => (value) => names.includes(value);
const text = (min, max) => (value) => {
  if (typeof value !== "string" || /[\0-\x08\x0b-\x1f\x7f-\x9f]/.test(value)) return false;
  const length = [...value].length;
  return length >= min && length <= max;
};
const FIELDS = {
  prompt: (value) => text(1, 10_000)(value) && /[^\s\p{Cf}]/u.test(value),
  negative_prompt: text(0, 10_000),
  task_id: (value) => text(1, 200)(value) && !/[\p{Cc}\u2028\u2029]/u.test(value),
  width: whole(64, 2048, 8),
  height: whole(64, 2048, 8),
  steps: whole(1, 150),
  guidance_scale: number(0, 30),
  seed: whole(0, Number.MAX_SAFE_INTEGER),
  n: whole(1, 10),
  scheduler: text(1, 100),
  model: text(1, 100),
  format: oneOf("png", "webp", "avif", "jpeg"),
  jpeg_quality: whole(1, 100),
  visibility: oneOf("public", "private"),
  previews: whole(0, 3),
};

export function requestOf(body) {
  const errors = [];
  const request = { n: 1, format: "png", visibility: "public" };
  for (const [field, value] of Object.entries(body)) {
    if (value === null) continue;
    if (!FIELDS[field]?.(value)) errors.push({ field, message: "is not allowed" });
    request[field] = value;
  }
  if (request.prompt === undefined) errors.push({ field: "prompt", message: "is needed" });
  if (request.seed + request.n - 1 > Number.MAX_SAFE_INTEGER) errors.push({ field: "seed", message: "is too large" });
  if (request.jpeg_quality && request.format !== "jpeg") errors.push({ field: "jpeg_quality", message: "needs jpeg" });
  if (errors.length > 0) throw new Problem(422, "invalid_request", "not allowed", errors);
  return request;
}

export function complete(request, models) {
  const wanted = ({ name, default: isDefault }) => (request.model ? name === request.model : isDefault);
  const model = models.find(wanted) ?? models.find((one) => one.default);
  const { defaults } = model;
  const scheduler = request.scheduler ?? defaults.scheduler;
  if (!model.schedulers.includes(scheduler) || !model.formats.includes(request.format)) {
    throw new Problem(422, "invalid_request", "the model does not offer this");
  }
  return {
    prompt: request.prompt,
    ...(request.negative_prompt !== undefined && { negative_prompt: request.negative_prompt }),
    width: request.width ?? defaults.width,
    height: request.height ?? defaults.height,
    steps: request.steps ?? defaults.steps,
    guidance_scale: request.guidance_scale ?? defaults.guidance_scale,
    scheduler,
    seed: request.seed ?? crypto.getRandomValues(new Uint32Array(1))[0],
    model: model.name,
    revision: model.revision,
    engine: model.engine,
    format: request.format,
    ...(request.jpeg_quality !== undefined && { jpeg_quality: request.jpeg_quality }),
  };
}
