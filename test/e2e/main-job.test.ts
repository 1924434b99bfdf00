import { readFileSync } from "node:fs";
import { importJWK, SignJWT, type JWK } from "jose";
import { afterAll, beforeAll, describe, test, type ExpectStatic } from "vitest";
import { parseReceipt } from "#ledger/read-receipt";
import { send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { verifyLedger } from "../support/verify.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await sharedTestStack();
}, 60_000);
afterAll(() => phylax.close());

const patient = "Patient/amara-okafor";

interface Resource {
  readonly resourceType: string;
  readonly id?: string;
  readonly [element: string]: unknown;
}
interface Searchset extends Resource {
  readonly entry?: readonly { readonly fullUrl: string; readonly resource: Resource }[];
}
const json = ({ text }: Reply): Resource => JSON.parse(text);
const searchset = ({ text }: Reply): Searchset => JSON.parse(text);

function isOutcome(reply: Reply): boolean {
  return (
    json(reply).resourceType === "OperationOutcome" &&
    (reply.headers["content-type"] ?? "").startsWith("application/fhir+json")
  );
}

describe("a client authenticates, gets the view of its purpose, and the ledger proves it", () => {
  test("a read is cut, marked as cut, with a receipt and the quota's headers", async ({ expect }) => {
    const reply = await phylax.ask("payer", patient);
    expect(reply.status).toBe(200);
    expect(reply.headers).toMatchObject({
      "cache-control": "no-store",
      "content-type": "application/fhir+json; charset=utf-8",
      "ratelimit-policy": '"default";q=6000;w=60',
      "x-request-id": expect.stringMatching(/^[0-9a-f]{32}$/u),
    });
    expect(parseReceipt(String(reply.headers["phylax-receipt"])).ok).toBe(true);
    const body = json(reply);
    expect(body).toMatchObject({ resourceType: "Patient", id: "amara-okafor" });
    expect(JSON.stringify(body["meta"])).toContain("SUBSETTED");
    expect(body).not.toHaveProperty("text");
  });

  test("the same patient differs between two purposes", async ({ expect }) => {
    const [treat, payment] = [await phylax.ask("telehealth", patient), await phylax.ask("payer", patient)];
    expect(treat.status).toBe(200);
    const shownToPayer = Object.keys(json(payment));
    const shownInTreatment = Object.keys(json(treat));
    expect(shownInTreatment.length).toBeGreaterThan(shownToPayer.length);
  });

  test("searches by patient are cut, every entry has the requested type, and no address of the origin leaves", async ({
    expect,
  }) => {
    for (const type of ["Observation", "Condition"]) {
      const reply = await phylax.ask("payer", `${type}?patient=amara-okafor`);
      expect(reply.status, reply.text).toBe(200);
      const bundle = searchset(reply);
      expect(bundle).toMatchObject({ resourceType: "Bundle", type: "searchset" });
      for (const { fullUrl, resource } of bundle.entry ?? []) {
        expect(resource.resourceType).toBe(type);
        expect(fullUrl).toBe(`${phylax.dev.fhir}/${type}/${resource.id}`);
      }
      expect(reply.text).not.toContain(new URL(phylax.dev.origin).host);
    }
  });

  test("every receipt of concurrent reads is in a ledger that verifies with the public keys alone", async ({
    expect,
  }) => {
    const replies = await Promise.all(Array.from({ length: 60 }, () => phylax.ask("telehealth", patient)));
    const receipts = replies.map(({ headers }) => String(headers["phylax-receipt"]));
    expect(new Set(receipts.map((receipt) => receipt.replace(/leaf=.*$/u, ""))).size).toBe(60);
    const all = receipts.flatMap((receipt) => ["--receipt", receipt]);
    expect(await verifyLedger(phylax.dev, all)).toMatchObject({ code: 0 });
  });
});

describe("a caller with a false identity or without a right to ask is refused and recorded", () => {
  const refused = async (reply: Reply, status: number, expect: ExpectStatic) => {
    expect(reply.status, reply.text).toBe(status);
    expect(isOutcome(reply)).toBe(true);
    expect(parseReceipt(String(reply.headers["phylax-receipt"])).ok).toBe(true);
    if (status === 401) expect(reply.headers["www-authenticate"]).toMatch(/^Bearer /u);
  };
  const read = (identity: string | undefined, token: string | undefined, path = patient) =>
    send(
      phylax.dev,
      identity === undefined ? undefined : phylax.client(identity),
      `${phylax.dev.fhir}/${path}`,
      {
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
      },
    );

  test("a lapsed agreement gets no token", async ({ expect }) => {
    await expect(phylax.token("lapsed")).rejects.toThrow(/no token/u);
  });

  test("a token sent with another client's certificate, or with none, is 401", async ({ expect }) => {
    const token = await phylax.token("payer");
    await refused(await read("telehealth", token), 401, expect);
    await refused(await read(undefined, token), 401, expect);
    await refused(await read("payer", undefined), 401, expect);
    expect((await read("payer", token)).status).toBe(200);
  });

  test("alg none, an expired token, a foreign audience, a foreign key and a changed claim are 401", async ({
    expect,
  }) => {
    const good = await phylax.token("payer");
    const [header = "", claims = "", signature = ""] = good.split(".");
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const said: Record<string, unknown> = JSON.parse(Buffer.from(claims, "base64url").toString());
    const head: { kid: string; alg: string; typ: string } = JSON.parse(
      Buffer.from(header, "base64url").toString(),
    );
    // The sandbox's own signing key, from its state folder: it signs a token that an issuer might sign by
    // mistake.
    const jwk: JWK = JSON.parse(
      readFileSync(phylax.dev.ca.replace(/pki\/.*$/u, "secrets/token-signing.jwk.json"), "utf8"),
    );
    const sign = async (changes: Record<string, unknown>, headers: Record<string, unknown> = {}) =>
      new SignJWT({ ...said, ...changes })
        .setProtectedHeader({ ...head, ...headers })
        .sign(await importJWK(jwk, "ES256"));
    const now = Math.floor(Date.now() / 1000);

    expect((await read("payer", await sign({}))).status, "the forge itself works").toBe(200);
    const bad = {
      "alg none": `${part({ ...head, alg: "none" })}.${claims}.`,
      "signature of another token": `${header}.${part({ ...said, client_id: "telehealth" })}.${signature}`,
      expired: await sign({ iat: now - 400, exp: now - 100 }),
      "another audience": await sign({ aud: `${phylax.dev.gateway}/v1/fhir/other` }),
      "another issuer": await sign({ iss: "https://issuer.example" }),
      "no binding": await sign({ cnf: undefined }),
      "an ID token's type": await sign({}, { typ: "JWT" }),
      padded: `${good}=`,
    };
    for (const [name, token] of Object.entries(bad)) {
      const reply = await read("payer", token);
      expect(reply.status, name).toBe(401);
      await refused(reply, 401, expect);
    }
  });

  test("a quota is exact, and its end is answered with Retry-After", async ({ expect }) => {
    const reply = await phylax.ask("payer", patient);
    const [before] = /r=(\d+)/u.exec(String(reply.headers["ratelimit"]))?.slice(1) ?? [];
    const [after] =
      /r=(\d+)/u.exec(String((await phylax.ask("payer", patient)).headers["ratelimit"]))?.slice(1) ?? [];
    expect(Number(before) - Number(after)).toBe(1);
  });
});
