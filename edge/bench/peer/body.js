import { Problem } from "./problem.js";

/** A JSON body of at most so many bytes; empty where it is. */
export async function readBody({ request }, most) {
  if (Number(request.headers.get("content-length")) > most) throw tooLarge(most);
  const decoder = new TextDecoder();
  let [text, length] = ["", 0];
  for await (const chunk of request.body ?? []) {
    length += chunk.length;
    if (length > most) throw tooLarge(most);
    text += decoder.decode(chunk, { stream: true });
  }
  const type = request.headers.get("content-type")?.split(";")[0].trim().toLowerCase();
  if (length > 0 && type !== "application/json") {
    throw new Problem(415, "unsupported_media_type", "send the body as application/json");
  }
  return text + decoder.decode();
}

export function parseObject(text) {
  let body;
  try {
    body = JSON.parse(text);
  } catch (error) {
    throw new Problem(400, "malformed_request", `the body is no JSON: ${error.message}`);
  }
  if (body === null || typeof body !== "object" || Array.isArray(body)) {
    throw new Problem(400, "malformed_request", "the body must be a JSON object");
  }
  return body;
}

const tooLarge = (most) => new Problem(413, "too_large", `the body may have at most ${most} bytes`);
