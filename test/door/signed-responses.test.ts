import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { importJWK, type CryptoKey, type JWK } from "jose";
import { afterAll, beforeAll, test } from "vitest";
import { publicJwk } from "#identity/jose/jwk";
import { mustFit } from "#kernel/value-shape";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import type { Key } from "../support/credentials.ts";
import {
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  starterPolicy,
  thumbprint,
} from "../support/outside.ts";
import { startPagingOrigin, type PagingOrigin, type Row } from "../support/paging-origin.ts";
import { publicHalf } from "../../sandbox/keys.ts";
import { signedFields } from "../support/sign-request.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { wrongWithSignature, type Sent } from "../support/verify-answer.ts";

const issuer = await outsider("https://issuer.outside.example", "phylax");
let phylax: Door;
let origin: PagingOrigin;
let certificate: CertificateFiles;
let key: Key;
/** The verifier's whole knowledge of Phylax. */
let keys: readonly JWK[];
beforeAll(async () => {
  origin = await startPagingOrigin();
  origin.rows = [{ resourceType: "Patient", id: "someone", birthDate: "1980-01-01" }];
  phylax = await startDoor({ origin: origin.url });
  const jwk: JWK = JSON.parse(readFileSync(phylax.client("exchange").jwk ?? "", "utf8"));
  key = {
    alg: "ES256",
    privateKey: (await importJWK(jwk)) as CryptoKey,
    jwk: mustFit(publicJwk(publicHalf(jwk))),
  }; // no shared secret
  certificate = await certificateFor(phylax, "unsigned-asker");
  const client = {
    id: "unsigned-asker",
    kind: "telehealth",
    auth: "external",
    issuer: issuer.iss,
    externalClientId: "unsigned-asker",
  };
  const entries = clientEntries(
    { ...client, certificates: [thumbprint(certificate)] },
    "TREAT",
    "treat",
    "system/*.rs",
  );
  const added = await phylax.addRegistry(
    joined(
      {
        policies: [starterPolicy("treat")],
        issuers: [issuerEntry(issuer, { purpose: { fixed: ["TREAT"] } })],
      },
      {
        ...entries,
        grants: entries.grants.map((grant) => Object.assign({}, grant, { signedResponses: true })),
      },
    ),
  );
  if (!added.ok) throw new Error(added.error.problem);
  const metadata = await document(`${phylax.dev.gateway}/.well-known/oauth-protected-resource/v1/fhir/main`);
  ({ keys } = (await document(String(metadata["jwks_uri"]))) as unknown as { keys: readonly JWK[] });
}, 120_000);
afterAll(async () => {
  await phylax.close();
  await origin.close();
});

const document = async (url: string): Promise<Readonly<Record<string, unknown>>> =>
  JSON.parse((await send(phylax.dev, undefined, url)).text);

/** Asks as `exchange`, which signs each request. */
async function ask(
  path: string,
  { method = "GET", body = "", more = {} } = {},
): Promise<{ readonly reply: Reply; readonly sent: Sent }> {
  const url = `${phylax.dev.fhir}/${path}`;
  const type: Record<string, string> =
    body === ""
      ? {}
      : {
          "content-type": "application/x-www-form-urlencoded",
          "content-digest": `sha-256=:${createHash("sha256").update(body).digest("base64")}:`,
        };
  const headers = { authorization: `Bearer ${await phylax.token("exchange")}`, ...type };
  const parts = ["@method", "@target-uri", ...Object.keys(headers)];
  const fields = await signedFields(
    key,
    { method, url, headers: new Headers(headers) },
    { parts, created: Math.floor(Date.now() / 1000) },
  );
  const sent = { method, url, headers: { ...headers, ...fields, ...more } };
  return {
    sent,
    reply: await send(phylax.dev, phylax.client("exchange"), url, { ...sent, ...(body !== "" && { body }) }),
  };
}
const wrong = ({ reply, sent }: { readonly reply: Reply; readonly sent: Sent }) =>
  wrongWithSignature(reply, sent, keys);

test("T38: a client with only the published key accepts an answer, and rejects each changed answer", async ({
  expect,
}) => {
  const asked = await ask("Patient/someone");
  const { reply, sent } = asked;
  expect(reply.status, reply.text).toBe(200);
  expect(wrong(asked)).toBeUndefined();
  const said = (headers: Readonly<Record<string, string>>) => ({
    sent,
    reply: { ...reply, headers: { ...reply.headers, ...headers } },
  });
  expect(wrong({ sent, reply: { ...reply, status: 404 } })).toBe("another signature");
  expect(wrong({ sent, reply: { ...reply, text: reply.text.replace("1980", "1981") } })).toBe("another body");
  const forged = createHash("sha256").update("{}").digest("base64");
  const both = said({ "content-digest": `sha-256=:${forged}:` });
  expect(wrong({ sent, reply: { ...both.reply, text: "{}" } })).toBe("another signature");
  for (const name of ["content-type", "phylax-receipt", "x-request-id"])
    expect(wrong(said({ [name]: "text/html" })), name).toBe("another signature");
  const later = String(reply.headers["signature-input"]).replace(
    /created=(?<at>\d+)/u,
    (_, at) => `created=${Number(at) - 1}`,
  );
  expect(wrong(said({ "signature-input": later }))).toBe("another signature");
});

test("T38: the answer to a request fits no second request, not even the same request sent again", async ({
  expect,
}) => {
  const [first, second] = [await ask("Patient/someone"), await ask("Patient?_id=someone")];
  expect([wrong(first), wrong(second)]).toEqual([undefined, undefined]);
  expect(wrong({ sent: second.sent, reply: first.reply })).toBe("another signature");
  const posted = await ask("Patient/_search", { method: "POST", body: "_id=someone" });
  expect([posted.reply.status, wrong(posted)]).toEqual([200, undefined]);
  expect(posted.reply.headers["signature-input"]).toContain('"content-digest";req');
  const other = await ask("Patient/_search", { method: "POST", body: "_id=another" });
  expect(wrong({ sent: posted.sent, reply: other.reply })).toBe("another signature");
  const again = await ask("Patient/someone");
  // two ES256 signatures always differ
  expect(again.sent.headers["signature"]).not.toBe(first.sent.headers["signature"]);
  expect(wrong({ sent: again.sent, reply: first.reply })).toBe("another signature");
});

test("T38: an answer in several windows has one signature", async ({ expect }) => {
  const note = (id: string): Row => ({
    resourceType: "Observation",
    id,
    status: "final",
    code: { text: "a long note" },
    subject: { reference: "Patient/someone" },
    note: [{ text: "n".repeat(300_000) }],
  });
  const before = origin.rows;
  origin.rows = Array.from({ length: 12 }, (_, n) => note(`o${n}`));
  const asked = await ask("Observation?_count=50");
  origin.rows = before;
  expect(asked.reply.status).toBe(200);
  expect(asked.reply.text.length).toBeGreaterThan(3_000_000);
  expect(wrong(asked)).toBeUndefined();
  expect(wrong({ ...asked, reply: { ...asked.reply, text: asked.reply.text.slice(0, 1_100_000) } })).toBe(
    "another body",
  );
});

test("T38: a refusal is signed like every answer, also the refusal of the request's own signature", async ({
  expect,
}) => {
  const ways = [
    [404, await ask("Patient/nobody")],
    [404, await ask("Unheard/of")],
    [400, await ask("Patient?unheard=of")],
    [405, await ask("Patient/someone", { method: "OPTIONS" })],
    [
      401,
      await ask("Patient/someone", {
        more: { authorization: `Bearer ${await phylax.token("exchange", { scope: "system/Patient.r" })}` },
      }),
    ],
  ] as const;
  for (const [status, asked] of ways) {
    expect(asked.reply.status).toBe(status);
    expect(wrong(asked), asked.sent.url).toBeUndefined();
  }
  const url = `${phylax.dev.fhir}/Patient/someone`;
  const headers = { authorization: `Bearer ${await phylax.token("exchange")}` };
  const unsigned = {
    sent: { method: "GET", url, headers },
    reply: await send(phylax.dev, phylax.client("exchange"), url, { headers }),
  };
  expect([unsigned.reply.status, wrong(unsigned)]).toEqual([401, undefined]);
});

test("T38: the answer to HEAD has no body, so no body is signed, and it does not pass for the answer to GET", async ({
  expect,
}) => {
  const asked = await ask("Patient/someone", { method: "HEAD" });
  expect([asked.reply.status, asked.reply.text, wrong(asked)]).toEqual([200, "", undefined]);
  expect(asked.reply.headers).not.toHaveProperty("content-digest");
  expect(wrong({ ...asked, sent: { ...asked.sent, method: "GET" } })).toBe('does not cover "content-digest"');
});

test("T38: no intermediary is asked to compress it, and none does", async ({ expect }) => {
  const asked = await ask("Patient/someone", { more: { "accept-encoding": "gzip, br, zstd" } });
  expect(asked.reply.headers["cache-control"]).toBe("no-store, no-transform");
  expect(asked.reply.headers).not.toHaveProperty("content-encoding");
  expect(wrong(asked)).toBeUndefined();
});

test("T38: a grant may require signed answers to unsigned requests; the answer does not vouch for an unchecked request signature", async ({
  expect,
}) => {
  const url = `${phylax.dev.fhir}/Patient/someone`;
  const headers = {
    authorization: `Bearer ${await outsideToken(issuer, certificate, { client_id: "unsigned-asker", scope: "system/*.rs" })}`,
  };
  const plain = {
    sent: { method: "GET", url, headers },
    reply: await send(phylax.dev, certificate, url, { headers }),
  };
  expect([plain.reply.status, wrong(plain)]).toEqual([200, undefined]);
  const parts = ["@method", "@target-uri", "authorization"];
  const fields = await signedFields(
    key,
    { method: "GET", url, headers: new Headers(headers) },
    { parts, created: 0 },
  );
  const reply = await send(phylax.dev, certificate, url, { headers: { ...headers, ...fields } });
  expect([reply.status, wrong({ sent: plain.sent, reply })]).toEqual([200, undefined]);
  expect(wrong({ sent: { ...plain.sent, headers: { ...headers, ...fields } }, reply })).toBe(
    'does not cover "signature";req;key="sig"',
  );
});

test("T38: without such a grant, and before the client is known, answers carry no signature", async ({
  expect,
}) => {
  const other = await phylax.ask("telehealth", "Patient/someone");
  const anonymous = await send(phylax.dev, undefined, `${phylax.dev.fhir}/Patient/someone`);
  for (const { headers } of [other, anonymous]) {
    expect(Object.keys(headers)).not.toContain("signature");
    expect(headers["cache-control"]).toBe("no-store");
  }
});

test("the key of signed answers is not among the keys that verify tokens", async ({ expect }) => {
  const { keys: ofTokens } = (await document(`${phylax.dev.gateway}/oauth/jwks`)) as {
    readonly keys: readonly JWK[];
  };
  expect(keys.map(({ kid }) => kid)).toEqual(["answers-1"]);
  expect(keys[0]).not.toHaveProperty("d");
  expect(ofTokens.map(({ x }) => x)).not.toContain(keys[0]?.x);
});
