import * as fc from "fast-check";
import { test } from "vitest";
import { readCertificate } from "#identity/certificate";
import { presented } from "../support/credentials.ts";

const { tlsClientAuth: good, x5t } = presented("telehealth");

test("T21: the thumbprint is the SHA-256 of the DER, never a fingerprint string that came with it", async ({ expect }) => {
  expect(await readCertificate(good)).toEqual({ ok: true, value: { x5t } });
});

test("none presented is not a failure, and is told from one", async ({ expect }) => {
  for (const none of [undefined, null, { certPresented: "0", certVerified: "NONE", certRevoked: "0", certRFC9440: "" }]) {
    expect(await readCertificate(none)).toEqual({ ok: true, value: undefined });
  }
});

test.for([
  ["certificate_unverified", { certVerified: "FAILED:certificate has expired" }],
  ["certificate_unverified", { certVerified: "NONE" }],
  ["certificate_unverified", { certVerified: undefined }],
  ["certificate_revoked", { certRevoked: "1" }],
  ["certificate_revoked", { certRevoked: undefined }],
  ["certificate_too_large", { certRFC9440: "", certRFC9440TooLarge: true }],
  ["certificate_malformed", { certRFC9440: "" }],
  ["certificate_malformed", { certRFC9440: "::" }],
  ["certificate_malformed", { certRFC9440: ":AAA:" }],
  ["certificate_malformed", { certRFC9440: "AAAA" }],
  ["certificate_malformed", { certPresented: "0" }],
  ["certificate_malformed", { certPresented: 1 }],
] as const)("T22, T23: %s", async ([reason, change], { expect }) => {
  expect(await readCertificate({ ...good, ...change })).toEqual({ ok: false, error: { reason } });
});

test("whatever the edge says, it throws nothing, and only a whole verified certificate is one", async ({ expect }) => {
  const field = fc.constantFrom("0", "1", "SUCCESS", "NONE", "FAILED", "", ":AAAA:", ":AA", true, false, null, undefined, 1);
  const names = ["certPresented", "certVerified", "certRevoked", "certRFC9440", "certRFC9440TooLarge"];
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.anything(), fc.record(Object.fromEntries(names.map((name) => [name, field])))), async (said) => {
      const read = await readCertificate(said);
      if (read.ok && read.value !== undefined) {
        expect(said).toMatchObject({ certPresented: "1", certVerified: "SUCCESS", certRevoked: "0", certRFC9440: ":AAAA:" });
      }
    }),
    { numRuns: 500 },
  );
});
