import { err, ok, type Result } from "#kernel/result";
import { fromBase64, toBase64url } from "./base64url.ts";

/** A client certificate that the edge verified on this connection. */
export interface Certificate {
  /** RFC 8705 §3.1 `x5t#S256`: base64url of the SHA-256 of the DER. */
  readonly x5t: string;
}

export type CertificateRefusal = {
  readonly reason: "certificate_malformed" | "certificate_unverified" | "certificate_revoked" | "certificate_too_large";
};

/**
 * Reads `cf.tlsClientAuth`. `undefined`: none was presented, which is not the same as one that failed.
 * Cloudflare hands failed and revoked certificates on to the Worker, and fills `certRFC9440` whatever the verdict was.
 */
export async function readCertificate(tlsClientAuth: unknown): Promise<Result<Certificate | undefined, CertificateRefusal>> {
  if (tlsClientAuth === undefined || tlsClientAuth === null) return ok(undefined); // a host name that asks for no certificate
  if (typeof tlsClientAuth !== "object") return err({ reason: "certificate_malformed" });
  const field = (name: string): unknown => Reflect.get(tlsClientAuth, name);

  if (field("certPresented") === "0" && field("certVerified") === "NONE") return ok(undefined);
  if (field("certPresented") !== "1") return err({ reason: "certificate_malformed" });
  if (field("certVerified") !== "SUCCESS") return err({ reason: "certificate_unverified" });
  if (field("certRevoked") !== "0") return err({ reason: "certificate_revoked" }); // a revoked one is still SUCCESS
  if (field("certRFC9440TooLarge") === true) return err({ reason: "certificate_too_large" });

  const der = decodeByteSequence(field("certRFC9440"));
  if (der === undefined) return err({ reason: "certificate_malformed" });
  return ok({ x5t: toBase64url(new Uint8Array(await crypto.subtle.digest("SHA-256", der))) });
}

/** RFC 9440 §2: the DER as a structured-field Byte Sequence, `:base64:`. */
function decodeByteSequence(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  const text =
    typeof value === "string" ? /^:((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?):$/u.exec(value)?.[1] : undefined;
  return text === undefined ? undefined : fromBase64(text);
}
