import "reflect-metadata";
import { createHash, randomUUID, webcrypto, X509Certificate, KeyObject } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { IncomingHttpHeaders } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import { afterAll, test } from "vitest";
import {
  ensureAuthority,
  ensureServerCertificate,
  issueClientCertificate,
  x5tS256,
  type CertificateFiles,
} from "../../sandbox/certificates.ts";
import { startFront } from "../../sandbox/front/front.ts";
import { namedCertificate } from "../support/named-certificate.ts";
import { ask, worker } from "./front-client.ts";

const dir = join(tmpdir(), `phylax-tls-client-auth-${randomUUID()}`);
const { serverCa, clientCa } = await ensureAuthority(dir);
const client = await issueClientCertificate(
  dir,
  "client",
  "C=US, ST=Texas, O=St. Mary\\, Inc., OU=Zürich, CN=pacs-01",
);
const revoked = new Set<string>();
let seen: IncomingHttpHeaders = {};
const upstream = await worker((req, res) => {
  seen = req.headers;
  res.end("ok");
});
const front = await startFront({
  port: 0,
  server: await ensureServerCertificate(dir),
  clientCa: clientCa.cert,
  revoked,
  target: upstream.target,
});
afterAll(async () => {
  await front.close();
  upstream.close();
  rmSync(dir, { recursive: true, force: true });
});

async function cfOf(as?: CertificateFiles): Promise<{
  tlsVersion: string;
  tlsCipher: string;
  httpProtocol: string;
  tlsClientAuth: Record<string, unknown>;
}> {
  await ask({ port: front.port, ca: serverCa.cert, ...(as && { as }) });
  return JSON.parse(String(seen["mf-cf-blob"]));
}
const verdictOf = async (as?: CertificateFiles) => (await cfOf(as)).tlsClientAuth["certVerified"];

async function selfSigned(): Promise<CertificateFiles> {
  const keys = await webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
    "sign",
    "verify",
  ]);
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    keys,
    name: "CN=nobody",
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
  });
  const files = { cert: join(dir, "self.pem"), key: join(dir, "self.key") };
  writeFileSync(files.cert, cert.toString("pem"));
  writeFileSync(files.key, KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }));
  return files;
}

/**
 * RFC 5280 §4.2.1.2 (1): SHA-1 of the public key's bits, here the last 65 bytes of a P-256
 * SubjectPublicKeyInfo.
 */
const keyIdentifier = (cert: X509Certificate) =>
  createHash("sha1")
    .update(cert.publicKey.export({ type: "spki", format: "der" }).subarray(-65))
    .digest("hex")
    .toUpperCase();

test("a good certificate is described in the fields and formats of Cloudflare", async ({ expect }) => {
  const { tlsClientAuth, ...connection } = await cfOf(client);
  const [cert, ca] = [
    new X509Certificate(readFileSync(client.cert)),
    new X509Certificate(readFileSync(clientCa.cert)),
  ];
  const cloudflareDate =
    // Dec 22 19:39:00 2018 GMT
    /^(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ 1-3]\d \d\d:\d\d:\d\d \d{4} GMT$/u;
  expect(connection).toEqual({
    httpProtocol: "HTTP/1.1",
    tlsVersion: "TLSv1.3",
    tlsCipher: expect.stringMatching(/^AEAD-(?:AES\d{3}-GCM|CHACHA20-POLY1305)-SHA\d{3}$/u),
  });
  expect(tlsClientAuth).toEqual({
    certPresented: "1",
    certVerified: "SUCCESS",
    certRevoked: "0",
    certIssuerDN: "CN=Phylax sandbox client CA,O=Phylax sandbox",
    certSubjectDN: "CN=pacs-01,OU=Z\\C3\\BCrich,O=St. Mary\\, Inc.,ST=Texas,C=US",
    certIssuerDNRFC2253: "CN=Phylax sandbox client CA,O=Phylax sandbox",
    certSubjectDNRFC2253: "CN=pacs-01,OU=Z\\C3\\BCrich,O=St. Mary\\, Inc.,ST=Texas,C=US",
    certIssuerDNLegacy: "/O=Phylax sandbox/CN=Phylax sandbox client CA",
    certSubjectDNLegacy: "/C=US/ST=Texas/O=St. Mary\\, Inc./OU=Zürich/CN=pacs-01",
    certSerial: cert.serialNumber,
    certIssuerSerial: ca.serialNumber,
    certSKI: keyIdentifier(cert),
    certIssuerSKI: keyIdentifier(ca),
    certFingerprintSHA1: createHash("sha1").update(cert.raw).digest("hex"),
    certFingerprintSHA256: createHash("sha256").update(cert.raw).digest("hex"),
    certNotBefore: expect.stringMatching(cloudflareDate),
    certNotAfter: expect.stringMatching(cloudflareDate),
    certRFC9440: `:${cert.raw.toString("base64")}:`,
    certRFC9440TooLarge: false,
    certChainRFC9440: "",
    certChainRFC9440TooLarge: false,
  });
  expect(Date.parse(String(tlsClientAuth["certNotAfter"]))).toBe(Date.parse(cert.validTo));
  expect(cert.serialNumber).toMatch(/^[0-9A-F]{32}$/u);
});

test("a name of several attributes is written as OpenSSL does", async ({ expect }) => {
  const subject = "C=DE, O=Klinik M\u00fcller\\, S\u00f6hne, OU=a+CN=b";
  const files = await namedCertificate(dir, "several", { subject, authority: clientCa });
  const { tlsClientAuth } = await cfOf(files);
  expect(tlsClientAuth["certVerified"]).toBe("SUCCESS");
  // The output of OpenSSL 3.5 with `-nameopt RFC2253`.
  expect(tlsClientAuth["certSubjectDNRFC2253"]).toBe("CN=b+OU=a,O=Klinik M\\C3\\BCller\\, S\\C3\\B6hne,C=DE");
});

test("without a certificate every field is present and says so", async ({ expect }) => {
  const { tlsClientAuth } = await cfOf();
  expect(Object.keys(tlsClientAuth).toSorted()).toEqual(
    Object.keys((await cfOf(client)).tlsClientAuth).toSorted(),
  );
  const { certPresented, certVerified, certRevoked, certRFC9440TooLarge, certChainRFC9440TooLarge, ...rest } =
    tlsClientAuth;
  expect({ certPresented, certVerified, certRevoked }).toEqual({
    certPresented: "0",
    certVerified: "NONE",
    certRevoked: "0",
  });
  expect([certRFC9440TooLarge, certChainRFC9440TooLarge]).toEqual([false, false]);
  expect(new Set(Object.values(rest))).toEqual(new Set([""]));
});

test("a certificate that fails is passed on with its reason, and still with its DER", async ({ expect }) => {
  const rogueDir = join(dir, "rogue");
  await ensureAuthority(rogueDir);
  const hour = 3_600_000;
  const past = { notBefore: new Date(Date.now() - 48 * hour), notAfter: new Date(Date.now() - hour) };
  const future = { notBefore: new Date(Date.now() + hour), notAfter: new Date(Date.now() + 48 * hour) };

  const rogue = await issueClientCertificate(rogueDir, "rogue", "O=Rogue, CN=pacs-01");
  expect(await verdictOf(rogue)).toBe("FAILED:unable to verify the first certificate");
  expect((await cfOf(rogue)).tlsClientAuth["certRFC9440"]).toBe(
    `:${new X509Certificate(readFileSync(rogue.cert)).raw.toString("base64")}:`,
  );
  expect(await verdictOf(await issueClientCertificate(dir, "expired", "CN=expired", past))).toBe(
    "FAILED:certificate has expired",
  );
  expect(await verdictOf(await issueClientCertificate(dir, "early", "CN=early", future))).toBe(
    "FAILED:certificate is not yet valid",
  );
  expect(await verdictOf(await selfSigned())).toBe("FAILED:self signed certificate");
  // signed by the authority for servers
  expect(await verdictOf(await ensureServerCertificate(dir))).toMatch(/^FAILED/u);
});

test("a certificate with a chain that names the authority, but signed by a different authority, is not verified", async ({
  expect,
}) => {
  const forgedDir = join(dir, "forged");
  // the real authority's subject with a different key
  const { clientCa: forgedCa } = await ensureAuthority(forgedDir);
  const forged = await issueClientCertificate(forgedDir, "forged", "CN=pacs-01");
  const withChain = { cert: join(dir, "forged-chain.pem"), key: forged.key };
  writeFileSync(withChain.cert, readFileSync(forged.cert, "utf8") + readFileSync(forgedCa.cert, "utf8"));
  const { tlsClientAuth } = await cfOf(withChain);
  expect(tlsClientAuth["certVerified"]).toMatch(/^FAILED:/u);
  expect(tlsClientAuth["certIssuerSerial"]).toBe("");
  expect(tlsClientAuth["certChainRFC9440"]).toBe(
    `:${new X509Certificate(readFileSync(forgedCa.cert)).raw.toString("base64")}:`,
  );
});

test("a revoked certificate is SUCCESS with certRevoked, from the next request on", async ({ expect }) => {
  const thumbprint = x5tS256(readFileSync(client.cert, "utf8"));
  revoked.add(thumbprint);
  const { tlsClientAuth } = await cfOf(client);
  expect([tlsClientAuth["certVerified"], tlsClientAuth["certRevoked"]]).toEqual(["SUCCESS", "1"]);
  revoked.delete(thumbprint);
  expect((await cfOf(client)).tlsClientAuth["certRevoked"]).toBe("0");
});
