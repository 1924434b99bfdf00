import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, test } from "vitest";
import { send, type Reply, type Sending } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { eventsOf } from "../support/auditor.ts";
import { newKey, type Key } from "../support/credentials.ts";
import { keyBoundToken, keyHolder, keyHolderEntry, proofFor, type KeyHolder } from "../support/key-holder.ts";
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
import { signedFields, type Signing } from "../support/sign-request.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { must } from "../support/must.ts";

const issuer = await outsider("https://issuer.outside.example", "phylax");
const key = await newKey("EdDSA", "requests-1");
const path = "Patient/someone";
const patient = { resourceType: "Patient", id: "someone", birthDate: "1980-01-01" };

/** A FHIR server that records the requests that it got. */
const seen: IncomingMessage[] = [];
const origin = createServer((request, response) => {
  seen.push(request);
  response.setHeader("content-type", "application/fhir+json");
  const bundle = {
    resourceType: "Bundle",
    type: "searchset",
    entry: [{ resource: patient, search: { mode: "match" } }],
  };
  response.end(JSON.stringify(request.url?.endsWith(path) ? patient : bundle));
});
let phylax: Door;
let [certificate, heldBack]: CertificateFiles[] = [];
let holder: KeyHolder;
beforeAll(async () => {
  await new Promise<void>((listening) => origin.listen(0, "127.0.0.1", listening));
  // a listening TCP server has a port
  const url = `http://127.0.0.1:${(origin.address() as AddressInfo).port}/fhir`;
  phylax = await startDoor({ origin: url });
  certificate = await certificateFor(phylax, "signing-app");
  heldBack = await certificateFor(phylax, "excepted-with-certificate");
  holder = await keyHolder("signing-key-holder");
  const external = (id: string, more: object) => ({
    id,
    kind: "telehealth",
    auth: "external",
    issuer: issuer.iss,
    externalClientId: id,
    ...more,
  });
  const signed = (client: { readonly id: string }) => {
    const entries = clientEntries(client, "TREAT", "treat", "system/*.rs");
    return {
      ...entries,
      grants: entries.grants.map((grant) => Object.assign({}, grant, { signedRequests: true })),
    };
  };
  const unboundUntil = new Date(Date.now() + 3_600_000).toISOString();
  await phylax.applyRegistry(
    joined(
      { origins: [{ name: "main", url, credentials: { kind: "none" }, forwardClientCert: true }] },
      {
        policies: [starterPolicy("treat")],
        issuers: [issuerEntry(issuer, { purpose: { fixed: ["TREAT"] } })],
      },
      signed(
        external("signing-app", { certificates: [thumbprint(must(certificate))], jwks: { keys: [key.jwk] } }),
      ),
      signed(keyHolderEntry(holder)),
      clientEntries(
        external("exporting-app", { certificates: [thumbprint(must(certificate))] }),
        "TREAT",
        "treat",
        "system/*.rs",
      ),
      clientEntries(external("excepted", { unboundUntil }), "TREAT", "treat", "system/*.rs"),
      clientEntries(
        external("excepted-with-certificate", { unboundUntil, certificates: [thumbprint(must(heldBack))] }),
        "TREAT",
        "treat",
        "system/*.rs",
      ),
      clientEntries(external("over", { unboundUntil: "2026-01-01" }), "TREAT", "treat", "system/*.rs"),
    ),
  );
}, 120_000);
afterAll(async () => {
  await phylax.close();
  origin.closeAllConnections();
  origin.close();
});

const recordOf = async (reply: Reply) => (await eventsOf(phylax.dev, reply.headers["x-request-id"]))[0];
const bound = (more: object = {}) =>
  outsideToken(issuer, must(certificate), { client_id: "signing-app", scope: "system/*.rs", ...more });
const unbound = (client: string) =>
  outsideToken(issuer, must(certificate), { client_id: client, scope: "system/*.rs", cnf: undefined });

/** Signs a request as a client should. `spoiled` changes it afterwards. */
async function askSigned(
  by: Key,
  { method = "GET", headers = {}, body = "" }: Sending & { readonly body?: string },
  {
    where = path,
    signing = {},
    spoiled = {},
  }: { where?: string; signing?: Partial<Signing>; spoiled?: Sending } = {},
): Promise<Reply> {
  const digest =
    body === ""
      ? {}
      : { "content-digest": `sha-256=:${createHash("sha256").update(body).digest("base64")}:` };
  const sent = { ...(headers as Record<string, string>), ...digest }; // each header once
  const parts = ["@method", "@target-uri", ...Object.keys(sent)];
  const url = `${phylax.dev.fhir}/${where}`;
  const created = Math.floor(Date.now() / 1000);
  const fields = await signedFields(
    by,
    { method, url, headers: new Headers(sent) },
    { parts, created, ...signing },
  );
  const identity = "dpop" in sent ? undefined : must(certificate);
  return send(phylax.dev, identity, url, {
    method,
    ...(body !== "" && { body }),
    ...spoiled,
    headers: { ...sent, ...fields, ...spoiled.headers },
  });
}

test("T35: a signed request is answered, and the signing key is on record", async ({ expect }) => {
  const reply = await askSigned(key, { headers: { authorization: `Bearer ${await bound()}` } });
  expect(reply.status, reply.text).toBe(200);
  expect(await recordOf(reply)).toMatchObject({
    kind: "disclosure",
    who: { client: "signing-app", signedBy: "requests-1" },
  });
});

test("T35, T37: a request that is unsigned, or signed by a foreign key or an older key, is 401 with the components to sign, and the origin gets no request", async ({
  expect,
}) => {
  const authorization = `Bearer ${await bound()}`;
  const before = seen.length;
  const old = Math.floor(Date.now() / 1000) - 62;
  const ways = [
    [
      "request_signature_missing",
      await send(phylax.dev, must(certificate), `${phylax.dev.fhir}/${path}`, { headers: { authorization } }),
    ],
    [
      "request_signature_invalid",
      await askSigned(await newKey("EdDSA", "requests-1"), { headers: { authorization } }),
    ],
    [
      "request_signature_key_unknown",
      await askSigned(await newKey("EdDSA", "requests-2"), { headers: { authorization } }),
    ],
    [
      "request_signature_expired",
      await askSigned(key, { headers: { authorization } }, { signing: { created: old } }),
    ],
    [
      "request_signature_invalid",
      await askSigned(key, { headers: { authorization } }, { spoiled: { method: "HEAD" } }),
    ],
    [
      "request_signature_algorithm_mismatch",
      await askSigned(key, { headers: { authorization } }, { signing: { alg: "ecdsa-p256-sha256" } }),
    ],
  ] as const;
  for (const [reason, reply] of ways) {
    expect(reply.status, reason).toBe(401);
    expect(reply.headers["www-authenticate"], reason).toContain('error="invalid_request"');
    expect(reply.headers["accept-signature"], reason).toMatch(
      /^sig=\("@method" "@target-uri" "authorization".*\);created;tag="fapi-2-request"$/u,
    );
    expect((await recordOf(reply))?.outcome?.reason).toBe(reason);
  }
  expect(seen.length).toBe(before);
});

test("T36: a posted search is signed with its body: a changed body, or a body that is not covered, is 401", async ({
  expect,
}) => {
  const headers = {
    authorization: `Bearer ${await bound()}`,
    "content-type": "application/x-www-form-urlencoded",
  };
  const post = { method: "POST", headers, body: "birthdate=1980-01-01" };
  const where = "Patient/_search";
  const good = await askSigned(key, post, { where });
  expect(good.status, good.text).toBe(200);
  const before = seen.length;
  const other = await askSigned(key, post, { where, spoiled: { body: "birthdate=1980-01-02" } });
  expect([other.status, (await recordOf(other))?.outcome?.reason]).toEqual([401, "content_digest_mismatch"]);
  const uncovered = await askSigned(key, post, {
    where,
    signing: { parts: ["@method", "@target-uri", "authorization"] },
  });
  expect([uncovered.status, (await recordOf(uncovered))?.outcome?.reason]).toEqual([
    401,
    "request_signature_incomplete",
  ]);
  expect(uncovered.headers["accept-signature"]).toContain('"content-digest"');
  const huge = await askSigned(key, { ...post, body: `birthdate=${"1".repeat(70_000)}` }, { where });
  expect(huge.status).toBe(413);
  expect(seen.length).toBe(before);
});

test("T35: under DPoP the signature covers the proof, so that neither fits a second request", async ({
  expect,
}) => {
  const token = await keyBoundToken(phylax, holder);
  const headers = async () => ({
    authorization: `DPoP ${token}`,
    dpop: await proofFor(phylax, holder, token, path),
  });
  const good = await askSigned(holder.assertionKey, { headers: await headers() });
  expect(good.status, good.text).toBe(200);
  const without = await askSigned(
    holder.assertionKey,
    { headers: await headers() },
    { signing: { parts: ["@method", "@target-uri", "authorization"] } },
  );
  expect([without.status, (await recordOf(without))?.outcome?.reason]).toEqual([
    401,
    "request_signature_incomplete",
  ]);
  expect(without.headers["accept-signature"]).toContain('"dpop"');
});

test("T24, T25: an origin that asks for it gets the certificate of the connection, never a client's claim about a certificate", async ({
  expect,
}) => {
  const der = (files: CertificateFiles) =>
    readFileSync(files.cert, "utf8").replaceAll(/-----[^-]+-----|\s/gu, "");
  const forged = {
    "client-cert": `:${der(must(heldBack))}:`,
    "cf-client-cert-der-base64": der(must(heldBack)),
  };
  const reply = await askSigned(
    key,
    { headers: { authorization: `Bearer ${await bound()}` } },
    { spoiled: { headers: forged } },
  );
  expect(reply.status, reply.text).toBe(200);
  expect(seen.at(-1)?.headers["client-cert"]).toBe(`:${der(must(certificate))}:`);
  expect(Object.keys(seen.at(-1)?.headers ?? {}).filter((name) => name.startsWith("cf-client"))).toEqual([]);

  const headers = {
    authorization: `Bearer ${await bound({ client_id: "exporting-app" })}`,
    prefer: "respond-async",
  };
  const ask = (where: string) =>
    send(phylax.dev, must(certificate), `${phylax.dev.fhir}/${where}`, { headers });
  const kickOff = await ask("$export?_type=Observation");
  expect(kickOff.status, (await recordOf(kickOff))?.outcome?.reason).toBe(202);
  const [, job = ""] = String(kickOff.headers["content-location"]).split("$export-status/");
  const before = seen.length;
  await ask(`$export-file/${job}/1`);
  expect(seen.length, "a page of the file").toBeGreaterThan(before);
  expect(seen.at(-1)?.headers["client-cert"]).toBe(`:${der(must(certificate))}:`);

  const anonymous = { headers: { authorization: `Bearer ${await unbound("excepted")}`, ...forged } };
  expect((await send(phylax.dev, undefined, `${phylax.dev.fhir}/${path}`, anonymous)).status).toBe(200);
  expect(seen.at(-1)?.headers["client-cert"]).toBeUndefined();
});

test("T5: an unbound token is accepted only under its client's exception, as Bearer, and each record says so", async ({
  expect,
}) => {
  const ask = (token: string, identity?: CertificateFiles, scheme = "Bearer") =>
    send(phylax.dev, identity, `${phylax.dev.fhir}/${path}`, {
      headers: { authorization: `${scheme} ${token}` },
    });
  const passed = await ask(await unbound("excepted"));
  expect(passed.status, passed.text).toBe(200);
  expect((await recordOf(passed))?.who).toMatchObject({ client: "excepted", unbound: true });
  const refused = await send(phylax.dev, undefined, `${phylax.dev.fhir}/Subscription/x`, {
    headers: { authorization: `Bearer ${await unbound("excepted")}` },
  });
  expect([refused.status, (await recordOf(refused))?.who?.unbound]).toEqual([403, true]);

  const held = await unbound("excepted-with-certificate");
  expect((await ask(held, must(heldBack))).status).toBe(200);
  const ways = [
    ["certificate_missing", await ask(held)],
    ["certificate_not_registered", await ask(held, must(certificate))],
    ["token_unbound", await ask(await unbound("over"))],
    ["token_unbound", await ask(await unbound("signing-app"), must(certificate))],
    ["token_scheme_mismatch", await ask(await unbound("excepted"), undefined, "DPoP")],
  ] as const;
  for (const [reason, reply] of ways)
    expect([reply.status, (await recordOf(reply))?.outcome?.reason], reason).toEqual([401, reason]);
  const bounded = await recordOf(
    await askSigned(key, { headers: { authorization: `Bearer ${await bound()}` } }),
  );
  expect(bounded?.who?.unbound).toBeUndefined();
});
