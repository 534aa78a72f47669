export class Problem extends Error {
  constructor(status, code, detail, errors = []) {
    super(detail);
    Object.assign(this, { status, code, detail, errors });
  }

  static of(error) {
    return error instanceof Problem ? error : new Problem(500, "internal_error", "the edge failed");
  }

  response(request_id) {
    const { status, code, detail, errors } = this;
    const document = { type: "about:blank", title: code, status, code, detail, errors, request_id };
    const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
    return new Response(JSON.stringify(document), { status, headers });
  }
}
