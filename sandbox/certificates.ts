import "reflect-metadata"; // before @peculiar/x509, because its containers need it
import { createHash, KeyObject, randomBytes, webcrypto, X509Certificate } from "node:crypto";
import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import * as x509 from "@peculiar/x509";

/** Absolute paths of a certificate and its private key, both PEM. Only the owner can read the key file. */
export interface CertificateFiles {
  readonly cert: string;
  readonly key: string;
}

/**
 * Two authorities, so that a client certificate never passes for a server: one signs the front's certificate,
 * the second signs the clients'.
 */
export interface Authority {
  readonly serverCa: CertificateFiles;
  readonly clientCa: CertificateFiles;
}

/** The validity period of a new certificate. A test makes an expired certificate by a period in the past. */
export interface Validity {
  readonly notBefore: Date;
  readonly notAfter: Date;
}

const day = 86_400_000;
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

/**
 * Makes both authorities below `dir`, or finds the authorities of an earlier start. Certificates last ten
 * years.
 */
export async function ensureAuthority(dir: string): Promise<Authority> {
  const serverCa = await ensure(files(dir, "ca"), {
    subject: "O=Phylax sandbox, CN=Phylax sandbox server CA",
    days: 3650,
    usage: "ca",
  });
  const clientCa = await ensure(files(dir, "client-ca"), {
    subject: "O=Phylax sandbox, CN=Phylax sandbox client CA",
    days: 3650,
    usage: "ca",
  });
  return { serverCa, clientCa };
}

/** The front's certificate for localhost, 127.0.0.1 and ::1. Needs `ensureAuthority` to have run. */
export function ensureServerCertificate(dir: string): Promise<CertificateFiles> {
  return ensure(files(dir, "server"), {
    subject: "CN=localhost",
    days: 397,
    usage: "server",
    issuer: files(dir, "ca"),
  });
}

/**
 * A client's certificate, signed by the client authority. The certificate of an earlier start is used again
 * if it is still valid. `name` names the files ([a-z0-9-]); `subject` is a distinguished name in encoding
 * order: `O=Acme, CN=telehealth`.
 */
export function issueClientCertificate(
  dir: string,
  name: string,
  subject: string,
  validity?: Validity,
): Promise<CertificateFiles> {
  if (!/^[a-z0-9][a-z0-9-]*$/u.test(name))
    throw new Error("a client certificate's name is made of a-z, 0-9 and -");
  return ensure(files(join(dir, "clients"), name), {
    subject,
    days: 397,
    usage: "client",
    issuer: files(dir, "client-ca"),
    ...(validity && { validity }),
  });
}

/** SHA-256 of the DER in base64url: the value of `cnf["x5t#S256"]` in a bound token (RFC 8705 §3.1). */
export function x5tS256(certificate: string | X509Certificate): string {
  const { raw } = typeof certificate === "string" ? new X509Certificate(certificate) : certificate;
  return createHash("sha256").update(raw).digest("base64url");
}

interface Wanted {
  readonly subject: string;
  readonly days: number;
  readonly usage: "ca" | "server" | "client";
  /** Undefined: signed by itself. */
  readonly issuer?: CertificateFiles;
  readonly validity?: Validity;
}

const files = (dir: string, name: string): CertificateFiles => ({
  cert: resolve(dir, `${name}.pem`),
  key: resolve(dir, `${name}.key`),
});

async function ensure(at: CertificateFiles, wanted: Wanted): Promise<CertificateFiles> {
  const issuer = wanted.issuer && new X509Certificate(await readFile(wanted.issuer.cert));
  if (!(await serves(at, wanted, issuer))) await issue(at, wanted, issuer);
  return at;
}

/**
 * True if the files of an earlier start are a pair, of this subject and this issuer, and valid for another
 * day.
 */
async function serves(
  at: CertificateFiles,
  { subject, validity }: Wanted,
  issuer: X509Certificate | undefined,
): Promise<boolean> {
  let cert: X509Certificate, key: KeyObject;
  try {
    cert = new X509Certificate(await readFile(at.cert));
    key = KeyObject.from(await importKey(at.key));
  } catch {
    return false; // absent, or torn by a crash: made again
  }
  return (
    validity === undefined &&
    Date.parse(cert.validTo) - Date.now() > day &&
    cert.checkPrivateKey(key) &&
    new x509.Name(new x509.X509Certificate(cert.raw).subject).toString() ===
      new x509.Name(subject).toString() &&
    (issuer === undefined
      ? cert.verify(cert.publicKey)
      : cert.checkIssued(issuer) && cert.verify(issuer.publicKey))
  );
}

async function issue(
  at: CertificateFiles,
  { subject, days, usage, issuer, validity }: Wanted,
  issued: X509Certificate | undefined,
) {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const authority = issued && new x509.X509Certificate(issued.raw);
  const cert = await x509.X509CertificateGenerator.create({
    // 127 random bits, positive and of even length (RFC 5280 §4.1.2.2)
    serialNumber: `4${randomBytes(16).toString("hex").slice(1)}`,
    subject,
    issuer: authority?.subjectName ?? subject,
    notBefore: validity?.notBefore ?? new Date(Date.now() - 5 * 60_000), // clocks differ between machines
    notAfter: validity?.notAfter ?? new Date(Date.now() + days * day),
    publicKey: keys.publicKey,
    signingKey: issuer === undefined ? keys.privateKey : await importKey(issuer.key),
    signingAlgorithm: algorithm,
    extensions: [
      ...usages[usage](),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority?.publicKey ?? keys.publicKey),
    ],
  });
  // The key first: a crash between the two leaves a pair that does not match, which the next start replaces.
  await writeAtomically(
    at.key,
    KeyObject.from(keys.privateKey).export({ type: "pkcs8", format: "pem" }),
    0o600,
  );
  await writeAtomically(at.cert, `${cert.toString("pem")}\n`, 0o644);
}

/** RFC 5280 §4.2.1: the permitted uses of a certificate. */
const usages: Readonly<Record<Wanted["usage"], () => x509.Extension[]>> = {
  ca: () => [
    new x509.BasicConstraintsExtension(true, 0, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
  ],
  server: () => [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.SubjectAlternativeNameExtension([
      { type: "dns", value: "localhost" },
      { type: "ip", value: "127.0.0.1" },
      { type: "ip", value: "::1" },
    ]),
  ],
  client: () => [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
  ],
};

async function importKey(path: string): Promise<webcrypto.CryptoKey> {
  const der = x509.PemConverter.decodeFirst(await readFile(path, "utf8"));
  return webcrypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"]);
}

async function writeAtomically(path: string, text: string | Buffer, mode: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const part = `${path}.${process.pid}.part`;
  const file = await open(part, "w", mode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(part, path);
}
