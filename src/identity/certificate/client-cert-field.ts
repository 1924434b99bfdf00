/**
 * `Client-Cert` (RFC 9440 §2.2) of a connection: the DER of its certificate as the edge wrote it, a Byte Sequence. Nothing where no
 * certificate was taken for a caller's: what was refused, or not looked at, is nobody's.
 *
 * @param proven `x5t#S256` of the principal's certificate, whose text is this one's.
 */
export function clientCertField(tlsClientAuth: unknown, proven: string | undefined): string | undefined {
  if (proven === undefined || typeof tlsClientAuth !== "object" || tlsClientAuth === null) return undefined;
  const field: unknown = Reflect.get(tlsClientAuth, "certRFC9440");
  return typeof field === "string" ? field : undefined;
}
