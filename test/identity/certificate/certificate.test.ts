import * as fc from "fast-check";
import { test } from "vitest";
import { certificateEnd, readAnyCertificate, readCertificate } from "#identity/certificate/certificate";
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

test("T22: a certificate that was accepted before is refused with any other verdict of the edge", async ({
  expect,
}) => {
  expect((await readAnyCertificate(good)).ok).toBe(true);
  for (const [change, reason] of [
    [{ certVerified: "FAILED:certificate has expired" }, "certificate_unverified"],
    [{ certVerified: "NONE" }, "certificate_unverified"],
    [{ certRevoked: "1" }, "certificate_revoked"],
    [{ certRevoked: undefined }, "certificate_revoked"],
    [{ certPresented: "0" }, "certificate_malformed"],
    [{ certRFC9440TooLarge: true }, "certificate_too_large"],
    // self-signed, without a validity period
    [{ certVerified: "FAILED:self signed certificate" }, "certificate_unverified"],
  ] as const)
    expect(await readAnyCertificate({ ...good, ...change })).toEqual({ ok: false, error: { reason } });
  expect((await readAnyCertificate(good)).ok).toBe(true);
});

test("the end of a presented certificate is the edge's, and an end that cannot be read is no end", ({
  expect,
}) => {
  expect(certificateEnd({ ...good, certNotAfter: "Nov 24 12:00:00 2027 GMT" })).toBe(
    Date.parse("2027-11-24T12:00:00Z"),
  );
  for (const unread of [
    { ...good, certNotAfter: "" },
    { ...good, certNotAfter: 7 },
    {},
    null,
    undefined,
    "x",
  ])
    expect(certificateEnd(unread)).toBeUndefined();
});

test("T21: the same text vouches for itself only when the edge says that it is self-signed, and names follow the edge", async ({
  expect,
}) => {
  const byAuthority = await readAnyCertificate({ ...good, certSubjectDNRFC2253: "CN=a" });
  expect(byAuthority).toMatchObject({ value: { x5t, voucher: { kind: "authority", subjectDn: "CN=a" } } });
  const selfSigned = {
    ...good,
    certVerified: "FAILED:self signed certificate",
    certNotBefore: "Nov  1 00:00:00 2026 GMT",
    certNotAfter: "Dec  1 00:00:00 2026 GMT",
  };
  expect(await readAnyCertificate(selfSigned)).toMatchObject({ value: { x5t, voucher: { kind: "itself" } } });
  expect(await readAnyCertificate({ ...good, certSubjectDNRFC2253: "CN=b" })).toMatchObject({
    value: { x5t, voucher: { kind: "authority", subjectDn: "CN=b" } },
  });
  expect(await readAnyCertificate({ ...good, certIssuerDNRFC2253: "CN=other-ca" })).toMatchObject({
    value: { x5t, voucher: { kind: "authority", issuerDn: "CN=other-ca" } },
  });
});

test("a verified certificate is read once; self-signed certificates, which anyone can make, do not displace it", async ({
  expect,
}) => {
  const first = await readAnyCertificate(good);
  const again = await readAnyCertificate({ ...good });
  if (!first.ok || !again.ok) throw new Error("not accepted");
  expect(again.value).toBe(first.value);
  const made = (n: number) => ({ ...good, certRFC9440: `:${Buffer.from(`made ${n}`).toString("base64")}:` });
  for (let n = 0; n < 1_100; n += 1)
    await readAnyCertificate({
      ...made(n),
      certVerified: "FAILED:self signed certificate",
      certNotBefore: "Nov  1 00:00:00 2026 GMT",
      certNotAfter: "Dec  1 00:00:00 2026 GMT",
    });
  const later = await readAnyCertificate(good);
  expect(later.ok && later.value).toBe(first.value);
  for (let n = 0; n < 1_024; n += 1) await readAnyCertificate(made(n));
  const evicted = await readAnyCertificate(good);
  expect(evicted.ok && evicted.value === first.value).toBe(false);
  expect(evicted).toEqual(first);
});
