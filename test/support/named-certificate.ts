import "reflect-metadata"; // before @peculiar/x509: its containers need it
import { createPrivateKey, randomBytes, webcrypto } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import type { CertificateFiles } from "../../sandbox/certificates.ts";

export interface Wanted {
  readonly subject: string;
  readonly names?: ConstructorParameters<typeof x509.SubjectAlternativeNameExtension>[0];
  /** Without an authority the certificate is self-signed. */
  readonly authority?: CertificateFiles;
  readonly notAfter?: Date;
}

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const hour = 3_600_000;

/** A client certificate with a new key each time and any names, as files in `folder`. */
export async function namedCertificate(
  folder: string,
  name: string,
  { subject, names, authority, notAfter }: Wanted,
): Promise<CertificateFiles> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const issuer = authority && new x509.X509Certificate(readFileSync(authority.cert, "utf8"));
  const der =
    authority &&
    createPrivateKey(readFileSync(authority.key, "utf8")).export({ type: "pkcs8", format: "der" });
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: `4${randomBytes(15).toString("hex").slice(1)}`,
    subject,
    issuer: issuer?.subjectName ?? subject,
    notBefore: new Date(Date.now() - 2 * hour),
    notAfter: notAfter ?? new Date(Date.now() + hour),
    publicKey: keys.publicKey,
    signingKey:
      der === undefined
        ? keys.privateKey
        : await webcrypto.subtle.importKey("pkcs8", new Uint8Array(der), algorithm, false, ["sign"]),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      ...(names === undefined ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ],
  });
  const files = { cert: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) };
  writeFileSync(files.cert, `${certificate.toString("pem")}\n`);
  writeFileSync(
    files.key,
    Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey))
      .toString("base64")
      .replace(/^/u, "-----BEGIN PRIVATE KEY-----\n")
      .replace(/$/u, "\n-----END PRIVATE KEY-----\n"),
  );
  return files;
}
