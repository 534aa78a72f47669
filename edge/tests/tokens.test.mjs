import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, beforeEach, describe, test } from "node:test";
import { LIMIT, problem, useEdge } from "./harness.mjs";
import { json } from "./origin.mjs";

const ISSUER = "https://id.example.com/";
const AUDIENCE = "darkroom";

/** A key pair that signs tokens in its own way. */
class Signer {
  static #kinds = {
    RS256: ["rsa", { modulusLength: 2048 }],
    ES256: ["ec", { namedCurve: "P-256" }],
    EdDSA: ["ed25519", {}],
  };

  constructor(alg, kid) {
    Object.assign(this, { alg, kid });
    Object.assign(this, generateKeyPairSync(...Signer.#kinds[alg]));
  }

  get jwk() {
    return { ...this.publicKey.export({ format: "jwk" }), kid: this.kid, alg: this.alg, use: "sig" };
  }

  token(claims = {}, header = {}) {
    const signed = `${encode({ alg: this.alg, kid: this.kid, typ: "JWT", ...header })}.${encode(good(claims))}`;
    const key = { key: this.privateKey, dsaEncoding: "ieee-p1363" };
    const signature = sign(this.alg === "EdDSA" ? null : "sha256", Buffer.from(signed), key);
    return `${signed}.${signature.toString("base64url")}`;
  }
}

const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const now = () => Math.floor(Date.now() / 1000);
const good = (claims) => ({
  iss: ISSUER, aud: AUDIENCE, sub: "alice", exp: now() + 60, scope: "openid read generate", ...claims,
});

/** An issuer's keys at an address, and how often they were asked for. */
class Issuer {
  asked = 0;
  keys = [];
  answer = (response) => json(response, 200, { keys: this.keys });

  async start() {
    this.server = createServer((request, response) => {
      this.asked += 1;
      this.answer(response);
    });
    this.server.listen(0, "127.0.0.1");
    await once(this.server, "listening");
    return this;
  }

  get bindings() {
    const url = `http://127.0.0.1:${this.server.address().port}/jwks.json`;
    return { JWT_JWKS_URL: url, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE };
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const [rsa, ec, ed] = [new Signer("RS256", "rsa"), new Signer("ES256", "ec"), new Signer("EdDSA", "ed")];
const issuers = await Promise.all(Array.from({ length: 7 }, () => new Issuer().start()));
after(() => issuers.forEach((issuer) => issuer.stop()));

const useEdgeOf = (issuer, bindings = issuer.bindings) => {
  const edge = useEdge({ bindings });
  beforeEach(() => {
    edge?.origin?.requests?.splice(0);
  });
  return edge;
};

describe("tokens", () => {
  const [issuer] = issuers;
  issuer.keys = [rsa.jwk, ec.jwk, ed.jwk, { kty: "oct", kid: "oct", k: "c2VjcmV0", alg: "HS256" }];
  const edge = useEdgeOf(issuer);
  const refused = async (token) => {
    const response = await edge.fetch("/api/jobs", { key: token });
    assert.equal(response.headers.get("www-authenticate"), "Bearer");
    const { detail } = await problem(response, 401, "unauthorized");
    assert.equal(edge.origin.requests.length, 0);
    return detail;
  };

  for (const signer of [rsa, ec, ed]) {
    test(`a token by ${signer.alg} is taken, and stands for its subject`, LIMIT, async () => {
      for (const header of [{}, { kid: undefined }]) {
        const response = await edge.fetch("/api/jobs", { key: signer.token({ sub: "a b" }, header) });
        assert.equal(response.status, 200, await response.text());
        const { headers } = edge.origin.takeOne();
        assert.equal(headers["darkroom-caller"], `jwt:${ISSUER}#a%20b`);
        assert.equal(headers.authorization, undefined);
      }
    });

    test(`a token by ${signer.alg} that was changed is refused`, LIMIT, async () => {
      const [header, , signature] = signer.token().split(".");
      const claims = encode(good({ sub: "mallory" }));
      assert.match(await refused(`${header}.${claims}.${signature}`), /signature/);
      await refused(`${header}.${claims}.`);
      await refused(`${signer.token()}x`);
      const stranger = new Signer(signer.alg, signer.kid);
      assert.match(await refused(stranger.token()), /signature/);
    });
  }

  test("no algorithm, and none that takes a public key for a secret", LIMIT, async () => {
    for (const alg of ["none", "None", "nOnE", "NONE", ""]) {
      await refused(`${encode({ alg })}.${encode(good())}.`);
      await refused(`${encode({ alg, kid: "rsa" })}.${encode(good())}.c2ln`);
    }
    const secrets = [
      rsa.publicKey.export({ format: "pem", type: "spki" }),
      rsa.publicKey.export({ format: "der", type: "spki" }),
      Buffer.from(rsa.jwk.n, "base64url"),
      "secret",
    ];
    for (const secret of secrets) {
      for (const kid of ["rsa", "oct", undefined]) {
        const signed = `${encode({ alg: "HS256", kid })}.${encode(good())}`;
        const signature = createHmac("sha256", secret).update(signed).digest("base64url");
        assert.match(await refused(`${signed}.${signature}`), /algorithm/);
      }
    }
  });

  test("a key verifies in its own way alone", LIMIT, async () => {
    assert.match(await refused(ec.token({}, { kid: "rsa" })), /key's/);
    assert.match(await refused(rsa.token({}, { alg: "ES256" })), /signature/);
    assert.match(await refused(ed.token({}, { kid: "ec" })), /key's/);
    // A key that the token brings along is nobody's.
    const stranger = new Signer("RS256", "rsa");
    assert.match(await refused(stranger.token({}, { jwk: stranger.jwk, jku: "http://127.0.0.1/" })), /signature/);
  });

  test("every claim must be right", LIMIT, async () => {
    for (const [claims, reason] of [
      [{ iss: "https://id.example.com" }, /issuer/],
      [{ iss: undefined }, /issuer/],
      [{ aud: "other" }, /audience/],
      [{ aud: ["other"] }, /audience/],
      [{ aud: undefined }, /audience/],
      [{ exp: now() - 61 }, /expired/],
      [{ exp: undefined }, /expired/],
      [{ nbf: now() + 90 }, /not yet/],
      [{ sub: "" }, /subject/],
      [{ exp: "soon" }, /read/],
    ]) {
      assert.match(await refused(ec.token(claims)), reason);
    }
    for (const claims of [{ aud: ["x", AUDIENCE] }, { exp: now() - 30 }, { nbf: now() + 30 }]) {
      assert.equal((await edge.fetch("/api/jobs", { key: ec.token(claims) })).status, 200);
      edge.origin.takeOne();
    }
  });

  test("two accounts never meet under one Idempotency-Key", LIMIT, async () => {
    let jobs = 0;
    edge.origin.answer = (request, response) => json(response, 200, { job: { id: `${(jobs += 1)}` } });
    const answers = [];
    for (const [sub, key] of [["a", "b:c"], ["a:b", "c"]]) {
      const headers = { "idempotency-key": key };
      answers.push(await edge.generate({ prompt: "p" }, { key: rsa.token({ sub }), headers }));
    }
    assert.deepEqual(answers.map((answer) => answer.headers.get("idempotency-replayed")), [null, null]);
    assert.equal(edge.origin.requests.splice(0).length, 2);
  });

  test("a token's scopes are what it may do", LIMIT, async () => {
    for (const scope of [undefined, "openid", "posts:write", ["generate"], "readgenerate"]) {
      const response = await edge.fetch("/api/jobs", { key: ed.token({ scope }) });
      assert.match((await problem(response, 403, "forbidden")).detail, /read/);
    }
    const list = await edge.fetch("/api/keys", { key: ed.token({ scope: ["admin"] }) });
    assert.equal(list.status, 200);
  });

  test("a subject as long as may be can have its private images made and deleted", LIMIT, async () => {
    const key = ed.token({ sub: "é".repeat(127) });
    const { origin } = edge;
    const answer = origin.answer;
    const deleted = { key: "private/generated/x.png", recipe_sha256: "0".repeat(64), n: 1 };
    origin.answer = (request, response) => json(response, 200, deleted);
    assert.equal((await edge.fetch("/api/images/i1", { method: "DELETE", key })).status, 204);
    origin.answer = answer;
  });

  test("subjects that begin alike have idempotency keys of their own", LIMIT, async () => {
    for (const [sub, key] of [["carol", "x:y"], ["carol:x", "y"]]) {
      const init = { key: ed.token({ sub }), headers: { "idempotency-key": key } };
      const response = await edge.generate({}, init);
      assert.deepEqual([response.status, response.headers.get("idempotency-replayed")], [422, null], sub);
    }
  });

  test("what only looks like a token is refused", LIMIT, async () => {
    for (const text of ["..", "a.b.c", "e30.e30.e30", `${"x".repeat(9000)}.a.b`, `${rsa.token()}.`]) {
      await refused(text);
    }
  });

  test("its keys were asked for a few times at most", LIMIT, async () => {
    assert.ok(issuer.asked <= 2, `${issuer.asked}`);
  });
});

describe("an issuer that changes its keys", () => {
  const issuer = issuers[1];
  const edge = useEdgeOf(issuer);
  const statusOf = async (signer) => (await edge.fetch("/api/jobs", { key: signer.token() })).status;

  test("is asked once for a key that is not known, and not again at once", LIMIT, async () => {
    issuer.keys = [rsa.jwk];
    assert.deepEqual([await statusOf(rsa), await statusOf(rsa), issuer.asked], [200, 200, 1]);
    issuer.keys = [rsa.jwk, ec.jwk];
    assert.deepEqual([await statusOf(ec), await statusOf(ec), issuer.asked], [200, 200, 2]);
    for (let i = 0; i < 10; i += 1) assert.equal(await statusOf(new Signer("EdDSA", `made-up-${i}`)), 401);
    assert.equal(issuer.asked, 2);
  });
});

describe("an issuer that nobody has asked yet", () => {
  const issuer = issuers[5];
  const edge = useEdgeOf(issuer);

  test("is asked by all who come at once, and none of them is refused", LIMIT, async () => {
    issuer.keys = [rsa.jwk, ec.jwk];
    const asked = Array.from({ length: 20 }, (_, i) =>
      edge.fetch("/api/jobs", { key: (i % 2 ? rsa : ec).token() }),
    );
    for (const response of await Promise.all(asked)) assert.equal(response.status, 200);
    assert.ok(issuer.asked <= 20);
  });
});

describe("an issuer that is down", () => {
  const issuer = issuers[2];
  const edge = useEdgeOf(issuer);

  test("keeps the keys that are known working, and is a problem to try again for others", LIMIT, async () => {
    issuer.keys = [ec.jwk];
    assert.equal((await edge.fetch("/api/jobs", { key: ec.token() })).status, 200);
    issuer.answer = (response) => response.writeHead(500).end();
    for (let i = 0; i < 3; i += 1) {
      const response = await edge.fetch("/api/jobs", { key: rsa.token() });
      assert.equal(response.headers.get("retry-after"), "5");
      await problem(response, 503, "unavailable");
    }
    assert.equal(issuer.asked, 2, "it is left alone for a moment");
    await edge.log.until(/JWT_JWKS_URL: it answers 500/);
    assert.equal((await edge.fetch("/api/jobs", { key: ec.token() })).status, 200);
    assert.equal((await edge.fetch("/api/jobs")).status, 200, "API keys do not need it");
  });
});

describe("an issuer that answers", () => {
  const issuer = issuers[3];
  const edge = useEdgeOf(issuer);

  test("too much to be a set of keys is none", LIMIT, async () => {
    issuer.answer = (response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(`{"keys": [], "x": "${"x".repeat(1 << 20)}"}`);
    };
    await problem(await edge.fetch("/api/jobs", { key: rsa.token() }), 503, "unavailable");
    await edge.log.until(/more than 65536 bytes/);
  });
});

describe("an issuer's key that is none", () => {
  const issuer = issuers[6];
  const edge = useEdgeOf(issuer);

  test("verifies nothing, and the log says so", LIMIT, async () => {
    issuer.keys = [{ ...ec.jwk, x: Buffer.alloc(32, 7).toString("base64url") }];
    const { detail } = await problem(await edge.fetch("/api/jobs", { key: ec.token() }), 401, "unauthorized");
    assert.match(detail, /signature/);
    await edge.log.until(/a key at JWT_JWKS_URL is none that can verify/);
  });
});

describe("an edge", () => {
  const token = rsa.token();

  describe("without an issuer", () => {
    const edge = useEdge();

    test("takes no token", LIMIT, async () => {
      await problem(await edge.fetch("/api/jobs", { key: token }), 401, "unauthorized");
    });
  });

  for (const [name, value] of [
    ["JWT_JWKS_URL", undefined],
    ["JWT_JWKS_URL", "http://id.example.com/jwks.json"],
    ["JWT_ISSUER", ""],
    ["JWT_AUDIENCE", undefined],
  ]) {
    describe(`with ${name} set to ${value}`, () => {
      const edge = useEdgeOf(issuers[4], { ...issuers[4].bindings, [name]: value });

      test("says so in its log, and goes on taking keys", LIMIT, async () => {
        await problem(await edge.fetch("/api/jobs", { key: token }), 503, "unavailable");
        await edge.log.until(new RegExp(`the setting ${name} `));
        assert.equal((await edge.fetch("/api/jobs")).status, 200);
      });
    });
  }
});
