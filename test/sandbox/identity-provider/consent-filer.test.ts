import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeJwt } from "jose";
import { test } from "vitest";
import {
  ensureAuthority,
  ensureServerCertificate,
  issueClientCertificate,
} from "../../../sandbox/certificates.ts";
import { ConsentFiler } from "../../../sandbox/identity-provider/consent/consent-filer.ts";
import { keptKey } from "../../../sandbox/keys.ts";

const person = {
  login: "patient-1",
  password: "p",
  totp: "t",
  patient: "amara",
  fhirUser: "Patient/amara",
};

test("a choice counts only when the gateway confirmed it; a later choice updates the Consent", async ({
  expect,
}) => {
  const state = mkdtempSync(join(tmpdir(), "phylax-"));
  const pki = join(state, "pki");
  const { serverCa } = await ensureAuthority(pki);
  const { cert, key } = await ensureServerCertificate(pki);
  const asked: string[] = [];
  const tokens: string[] = [];
  let status = 503;
  const gateway = createServer({ cert: readFileSync(cert), key: readFileSync(key) }, (request, response) => {
    asked.push(`${request.method} ${request.url}`);
    tokens.push(request.headers.authorization?.slice("Bearer ".length) ?? "");
    response.writeHead(
      status,
      status === 201 ? { location: "https://gateway/v1/fhir/main/Consent/c-1/_history/1" } : {},
    );
    response.end();
  }).listen(0, "localhost");
  try {
    await new Promise((listening) => gateway.once("listening", listening));
    const { port } = gateway.address() as AddressInfo;
    const filer = new ConsentFiler({
      iss: "https://issuer",
      key: await keptKey(join(state, "key.json"), "ES256", "k"),
      fhir: `https://localhost:${port}/v1/fhir/main`,
      ca: serverCa.cert,
      certificate: await issueClientCertificate(pki, "page", "CN=page"),
    });
    const [none, hiv] = [new Set<string>(), new Set(["hiv"])];
    expect(await filer.file(person, none, new Date())).toBe(true); // nothing to say
    expect(asked).toEqual([]);
    expect(await filer.file(person, hiv, new Date())).toBe(false);
    expect([...filer.choicesOf("patient-1")]).toEqual([]);
    status = 201;
    expect(await filer.file(person, hiv, new Date())).toBe(true);
    expect([...filer.choicesOf("patient-1")]).toEqual(["hiv"]);
    expect(await filer.file(person, new Set(["hiv"]), new Date())).toBe(true);
    status = 200;
    expect(await filer.file(person, none, new Date())).toBe(true);
    expect([...filer.choicesOf("patient-1")]).toEqual([]);
    const base = "/v1/fhir/main/Consent";
    expect(asked).toEqual([`POST ${base}`, `POST ${base}`, `PUT ${base}/c-1`]);
    expect(decodeJwt(tokens[0] ?? "")).toMatchObject({
      sub: "patient-1",
      patient: "amara",
      scope: "patient/Consent.cu",
      purpose_of_use: ["PATRQT"],
    });
    gateway.closeAllConnections();
    gateway.close();
    expect(await filer.file(person, hiv, new Date())).toBe(false); // nothing answers
  } finally {
    gateway.close();
    rmSync(state, { recursive: true });
  }
});
