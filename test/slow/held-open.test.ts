import { readFileSync } from "node:fs";
import { request } from "node:https";
import { afterAll, beforeAll, test } from "vitest";
import type { Reply } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import { openLedger } from "../support/auditor.ts";
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
import { startTestStack, type TestStack } from "../support/stack.ts";

const elsewhere = await outsider("https://issuer.outside.example", "phylax");

let phylax: TestStack;
let certificate: CertificateFiles;
beforeAll(async () => {
  phylax = await startTestStack();
  certificate = await certificateFor(phylax, "patient-thief");
  const client = {
    id: "thief",
    kind: "telehealth",
    auth: "external",
    issuer: elsewhere.iss,
    externalClientId: "app",
  };
  await phylax.stack.runtime.applyRegistry(
    joined(
      {
        policies: [starterPolicy("treat")],
        issuers: [issuerEntry(elsewhere, { purpose: { fixed: ["TREAT"] } })],
      },
      clientEntries({ ...client, certificates: [thumbprint(certificate)] }, "TREAT", "treat", "system/*.rs"),
    ),
  );
}, 120_000);
afterAll(() => phylax.close());

const token = (lives: number) =>
  outsideToken(elsewhere, certificate, {
    client_id: "app",
    scope: "system/*.rs",
    exp: Math.floor(Date.now() / 1_000) + lives,
  });

/** A search by POST. A letter of its form comes each second, for this number of seconds. */
function trickle(seconds: number, authorization: string, by = certificate): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { cert, key } = by;
    const headers = {
      authorization,
      "content-type": "application/x-www-form-urlencoded",
      "content-length": seconds + 7,
    };
    const tls = {
      ca: readFileSync(phylax.dev.ca),
      cert: readFileSync(cert),
      key: readFileSync(key),
      agent: false as const,
    };
    const asked = request(`${phylax.dev.fhir}/Patient/_search`, { ...tls, method: "POST", headers });
    asked.write("family=");
    let sent = 0;
    const timer = setInterval(() => {
      sent += 1;
      if (sent < seconds) return void asked.write("x");
      clearInterval(timer);
      asked.end("x");
    }, 1_000);
    asked.on("response", (incoming) => {
      let text = "";
      incoming.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      incoming.on("end", () =>
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text }),
      );
    });
    asked.on("error", reject).on("close", () => clearInterval(timer));
  });
}

const entriesOf = (id: string, by: CertificateFiles, status: string, scopes: string) =>
  clientEntries(
    {
      id,
      kind: "telehealth",
      auth: "external",
      issuer: elsewhere.iss,
      externalClientId: id,
      certificates: [thumbprint(by)],
      status,
    },
    "TREAT",
    "treat",
    scopes,
  );

test("a request that was admitted before its client was suspended, or its grant narrowed, is not answered afterwards", async ({
  expect,
}) => {
  const [suspended, narrowed] = [
    await certificateFor(phylax, "leaver"),
    await certificateFor(phylax, "narrowed"),
  ];
  const policies = { policies: [starterPolicy("treat")] };
  await phylax.stack.runtime.applyRegistry(
    joined(
      policies,
      entriesOf("leaver", suspended, "active", "system/*.rs"),
      entriesOf("narrowed", narrowed, "active", "system/*.rs"),
    ),
  );
  const bearer = async (id: string, by: CertificateFiles) =>
    `Bearer ${await outsideToken(elsewhere, by, { client_id: id, scope: "system/*.rs" })}`;
  const held = [
    trickle(11, await bearer("leaver", suspended), suspended),
    trickle(11, await bearer("narrowed", narrowed), narrowed),
    trickle(11, `Bearer ${await token(60)}`),
  ];
  await new Promise((later) => setTimeout(later, 1_000));
  await phylax.stack.runtime.applyRegistry(
    joined(
      policies,
      entriesOf("leaver", suspended, "suspended", "system/*.rs"),
      entriesOf("narrowed", narrowed, "active", "system/Observation.rs"),
    ),
  );
  const replies = await Promise.all(held);
  expect(replies.map(({ status }) => status)).toEqual([401, 403, 200]);
  const records = await openLedger(phylax.dev);
  const reasons = replies.map(
    ({ headers }) =>
      records.find(({ event: { id } }) => id === headers["x-request-id"])?.event.outcome?.reason,
  );
  expect(reasons).toEqual(["client_suspended", "grant_missing", undefined]);
}, 60_000);

test("a request with a slow body is answered by the state at its end, and waits for a quarter of a minute at most", async ({
  expect,
}) => {
  const [inTime, outlived, held] = await Promise.all([
    trickle(3, `Bearer ${await token(60)}`),
    trickle(8, `Bearer ${await token(6)}`),
    trickle(40, `Bearer ${await token(60)}`),
  ]);
  expect(inTime.status, inTime.text).toBe(200);
  expect(outlived.status, "its token was good when it came, and ended meanwhile").toBe(401);
  expect(held.status).toBe(408);
  const records = await openLedger(phylax.dev);
  for (const [reply, reason] of [
    [outlived, "token_expired"],
    [held, "body_timed_out"],
  ] as const) {
    const { event } = records.find(({ event: { id } }) => id === reply.headers["x-request-id"]) ?? {};
    expect(event).toMatchObject({ kind: "refusal", who: { client: "thief" }, outcome: { reason } });
  }
}, 60_000);

/** Sends the head of a request and the beginning of its body, and then ends the connection. */
function breakOff(
  url: string,
  headers: Readonly<Record<string, string>>,
  by: CertificateFiles | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const keys = by && { cert: readFileSync(by.cert), key: readFileSync(by.key) };
    const sending = { ca: readFileSync(phylax.dev.ca), agent: false as const, method: "POST", ...keys };
    const asked = request(url, { ...sending, headers: { ...headers, "content-length": 1_000 } });
    asked.on("error", reject).on("close", resolve).write("half");
    setTimeout(
      () =>
        asked
          .off("error", reject)
          .on("error", () => {})
          .destroy(),
      500,
    );
  });
}

test("a request that breaks off in its body is on record, at each door", async ({ expect }) => {
  const before = (await openLedger(phylax.dev)).length;
  const form = { "content-type": "application/x-www-form-urlencoded" };
  await breakOff(
    `${phylax.dev.fhir}/Patient/_search`,
    { ...form, authorization: `Bearer ${await token(60)}` },
    certificate,
  );
  await breakOff(phylax.dev.tokenEndpoint, form, undefined);
  const [operator] = phylax.dev.operators;
  await breakOff(`${phylax.dev.ops}/api/revocations`, { "content-type": "application/json" }, operator);
  const brokenOff = async () =>
    (await openLedger(phylax.dev))
      .slice(before)
      .flatMap(({ event }) => (event.outcome?.reason === "body_incomplete" ? [event] : []));
  await expect.poll(async () => (await brokenOff()).length, { timeout: 10_000, interval: 500 }).toBe(3);
  const events = await brokenOff();
  expect(events.map(({ kind }) => kind)).toEqual(["refusal", "refusal", "refusal"]);
  expect(events.map(({ who }) => who?.client ?? who?.operator ?? "").sort()).toEqual(
    ["", operator?.id ?? "no operator", "thief"].sort(),
  );
}, 60_000);
