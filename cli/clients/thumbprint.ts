import { certificateOf } from "./certificate-file.ts";

/** A thumbprint (`x5t#S256`, RFC 8705 §3.1) as it is, or the thumbprint of a PEM file. */
export function thumbprintOf(named: string): string {
  if (/^[A-Za-z0-9_-]{43}$/u.test(named)) return named;
  return Buffer.from(certificateOf(named).fingerprint256.replaceAll(":", ""), "hex").toString("base64url");
}
