import * as fc from "fast-check";
import { test } from "vitest";
import { readAnyCertificate, readCertificate } from "#identity/certificate/certificate";
import { presented } from "../../support/credentials.ts";

const { tlsClientAuth: good, x5t } = presented("telehealth");

test("T21: the thumbprint is the SHA-256 of the DER, never a supplied fingerprint text", async ({
  expect,
}) => {
  expect(await readCertificate(good)).toMatchObject({
    ok: true,
    value: { x5t, voucher: { kind: "authority" } },
  });
});

test("an absent certificate is no failure, and differs from a failed certificate", async ({ expect }) => {
  for (const none of [
    undefined,
    null,
    { certPresented: "0", certVerified: "NONE", certRevoked: "0", certRFC9440: "" },
  ]) {
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

const signedItself = {
  ...good,
  certVerified: "FAILED:self signed certificate",
  certNotBefore: "Nov 24 12:00:00 2026 GMT",
  certNotAfter: "Nov 24 12:00:00 2027 GMT",
};

test("T22: a self-signed certificate counts only for a caller that checks the voucher, and only within its dates", async ({
  expect,
}) => {
  expect(await readCertificate(signedItself)).toEqual({
    ok: false,
    error: { reason: "certificate_unverified" },
  });
  const dates = { from: Date.UTC(2026, 10, 24, 12), to: Date.UTC(2027, 10, 24, 12) };
  expect(await readAnyCertificate(signedItself)).toEqual({
    ok: true,
    value: { x5t, voucher: { kind: "itself", ...dates } },
  });
  for (const change of [
    { certNotAfter: "" },
    { certNotBefore: undefined },
    { certNotBefore: "Nov 24 12:00:00 2028 GMT" },
  ]) {
    expect(await readAnyCertificate({ ...signedItself, ...change })).toMatchObject({
      error: { reason: "certificate_unverified" },
    });
  }
  const inChain = { certVerified: "FAILED:self signed certificate in certificate chain" };
  expect(await readAnyCertificate({ ...signedItself, ...inChain })).toMatchObject({
    error: { reason: "certificate_unverified" },
  });
  expect(await readAnyCertificate({ ...signedItself, certRevoked: "1" })).toMatchObject({
    error: { reason: "certificate_revoked" },
  });
});

test("no input from the edge makes the reader throw, and only a complete verified certificate is accepted", async ({
  expect,
}) => {
  const field = fc.constantFrom(
    "0",
    "1",
    "SUCCESS",
    "NONE",
    "FAILED",
    "",
    ":AAAA:",
    ":AA",
    true,
    false,
    null,
    undefined,
    1,
  );
  const names = ["certPresented", "certVerified", "certRevoked", "certRFC9440", "certRFC9440TooLarge"];
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.anything(), fc.record(Object.fromEntries(names.map((name) => [name, field])))),
      async (said) => {
        const read = await readCertificate(said);
        if (read.ok && read.value !== undefined) {
          expect(said).toMatchObject({
            certPresented: "1",
            certVerified: "SUCCESS",
            certRevoked: "0",
            certRFC9440: ":AAAA:",
          });
        }
      },
    ),
    { numRuns: 500 },
  );
});
