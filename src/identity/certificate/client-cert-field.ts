/**
 * `Client-Cert` (RFC 9440 §2.2) of a connection: the DER of its certificate as the edge wrote it, a Byte
 * Sequence. Undefined if no certificate was accepted for a caller: a certificate that was refused, or not
 * looked at, belongs to no caller.
 * @param proven `x5t#S256` of the principal's certificate, which must be the certificate in
 * `tlsClientAuth`.
 */
export function clientCertField(tlsClientAuth: unknown, proven: string | undefined): string | undefined {
  if (proven === undefined || typeof tlsClientAuth !== "object" || tlsClientAuth === null) return undefined;
  const field: unknown = Reflect.get(tlsClientAuth, "certRFC9440");
  return typeof field === "string" ? field : undefined;
}
