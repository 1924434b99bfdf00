import type { AppliedRegistry } from "#platform/revocation/object/revocations";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, test } from "vitest";
import type { RegistryProblem } from "#registry/problem";
import type { Result } from "#kernel/result";
import { send } from "../../cli/connection/mutual-tls.ts";
import type { CertificateFiles } from "../../sandbox/certificates.ts";
import {
  askAs,
  certificateFor,
  clientEntries,
  issuerEntry,
  joined,
  outsider,
  outsideToken,
  starterPolicy,
  thumbprint,
} from "../support/outside.ts";
import { withValue } from "../support/registry-file.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { patience } from "../support/patience.ts";

interface Desk {
  apply(document: unknown, mode?: "add" | "replace"): Promise<Result<AppliedRegistry, RegistryProblem>>;
}

const example = join(import.meta.dirname, "../../examples/registry.json");
let phylax: TestStack;
let certificate: CertificateFiles;
let desk: Desk;
const issuer = await outsider("https://login.example", "phylax");
beforeAll(async () => {
  phylax = await startTestStack({ registry: example });
  certificate = await certificateFor(phylax, "file-app");
  ({ REGISTRY_DESK: desk } = await phylax.stack.runtime.miniflare.getBindings<{ REGISTRY_DESK: Desk }>(
    "phylax-ops",
  ));
}, 120_000);
afterAll(() => phylax.close());

const file = (id = "file-app", externalClientId = "app") =>
  joined(
    { issuers: [issuerEntry(issuer)], policies: [starterPolicy("patrqt")] },
    clientEntries(
      {
        id,
        kind: "patient",
        auth: "external",
        issuer: issuer.iss,
        externalClientId,
        certificates: [thumbprint(certificate)],
      },
      "PATRQT",
      "patrqt",
      "patient/*.rs",
    ),
  );
const read = async (client: string) => {
  const token = await outsideToken(issuer, certificate, {
    client_id: client,
    patient: "amara-okafor",
    scope: "patient/*.rs",
  });
  return (await askAs(phylax, certificate, token, "Patient/amara-okafor")).status;
};

test("a refused file has no effect, and the same file, corrected, works within seconds", async ({
  expect,
}) => {
  const good = file();
  const bad: readonly (readonly [string, string, unknown])[] = [
    ["/issuers/0/jwksUri", "/issuers/0/jwksUri", "https://login.example/jwks"],
    ["/issuers/0/iss", "/issuers/0/iss", phylax.dev.gateway],
    ["/clients/0/issuer", "/issuers", []],
    ["/clients/0/id", "/clients/0/id", "no such id"],
    ["/grants/0/scopes", "/grants/0/scopes", "patient/*.rs users/*.rs"],
    ["/grants/0/scopes", "/grants/0/scopes", "patient/Observation.rs?code:in=718-7"],
    ["/grants/0/quotas/burst", "/grants/0/quotas/burst", { requests: 1, windowSeconds: 1 }],
    ["/grants/0/origin", "/grants/0/origin", "nowhere"],
    ["/surprise", "/surprise", []],
  ];
  for (const [pointer, at, value] of bad) {
    expect(await desk.apply(withValue(good, at, value)), at).toMatchObject({ ok: false, error: { pointer } });
    expect(await read("app"), at).toBe(401);
  }
  const { ok } = await desk.apply(good);
  expect(ok).toBe(true);
  // a copy of a record lasts five seconds
  await expect.poll(() => read("app"), patience).toBe(200);
});

test("the same file again changes nothing, changed content clashes by its pointer, and a second name at the issuer is a second client", async ({
  expect,
}) => {
  await desk.apply(file());
  expect(await desk.apply(file())).toEqual({
    ok: true,
    value: { counts: { added: 0, changed: 0 }, changes: [] },
  });
  expect(await desk.apply(withValue(file(), "/issuers/0/audience", "another"))).toMatchObject({
    error: { reason: "conflict", pointer: "/issuers/0/audience" },
  });
  expect(await desk.apply(file("second-app"))).toMatchObject({
    error: { reason: "conflict", pointer: "/clients/0/externalClientId" },
  });
  expect(await desk.apply(file("second-app", "app-2"))).toMatchObject({ ok: true });
  await expect.poll(() => read("app-2"), patience).toBe(200);
});

test("examples/registry.json was accepted unchanged, at the start", async ({ expect }) => {
  expect(await desk.apply(JSON.parse(readFileSync(example, "utf8")))).toEqual({
    ok: true,
    value: { counts: { added: 0, changed: 0 }, changes: [] },
  });
  const readiness = await send(phylax.dev, undefined, `${phylax.dev.gateway}/readyz`);
  expect(JSON.parse(readiness.text)).toMatchObject({
    status: "ready",
    origins: { main: "ready", hospital: "secret_not_available" },
  });
});

test("a file with an origin that the gateway could not call is refused, and so is a file that sends a secret to a different host", async ({
  expect,
}) => {
  const beside = (origin: object) =>
    desk.apply({ origins: [{ name: "second", credentials: { kind: "none" }, ...origin }] });
  expect(await beside({ url: "https://elsewhere.example/r4" })).toMatchObject({
    error: { reason: "invalid", pointer: "/origins/0/url" },
  });
  const stolen = { kind: "bearer", secret: "HOSPITAL_TOKEN" };
  expect(await beside({ url: phylax.dev.origin, credentials: stolen })).toMatchObject({
    error: { reason: "invalid", pointer: "/origins/0/credentials/secret" },
  });
  expect(await beside({ url: "https://fhir.hospital.example/r5", credentials: stolen })).toMatchObject({
    ok: true,
  });
});
