import { instant, type Instant } from "#kernel/clock";
import { Newest } from "#kernel/memo";
import { err, ok, type Result } from "#kernel/result";
import { toBase64url } from "#kernel/encoded";
import { decodeBase64 } from "#identity/jose/base64url";

/** A client certificate with a key that was proven on this connection. */
export interface Certificate {
  /** RFC 8705 §3.1 `x5t#S256`: base64url of the SHA-256 of the DER. */
  readonly x5t: string;
  readonly voucher: Voucher;
}

/** The party that vouches for the key's subject. */
export type Voucher =
  /**
   * An authority that the host name's zone trusts: the edge verified the chain. Names as RFC 2253 writes
   * them.
   */
  | {
      readonly kind: "authority";
      readonly subjectDn: string;
      readonly issuerDn: string;
      readonly der: Uint8Array;
    }
  /**
   * Only the certificate itself: valid for a client that registered exactly this certificate (RFC 8705
   * §2.2), and for no further client.
   */
  | { readonly kind: "itself"; readonly from: Instant; readonly to: Instant };

type ByAuthority = Extract<Voucher, { readonly kind: "authority" }>;

export type CertificateRefusal = {
  readonly reason:
    | "certificate_malformed"
    | "certificate_unverified"
    | "certificate_revoked"
    | "certificate_too_large";
};

/**
 * Reads `cf.tlsClientAuth`, accepting only certificates that the edge verified. `undefined`: no certificate
 * was presented, which differs from a failed certificate. Cloudflare hands failed and revoked certificates
 * to the Worker, and fills `certRFC9440` for every verdict.
 */
export async function readCertificate(
  tlsClientAuth: unknown,
): Promise<Result<Certificate | undefined, CertificateRefusal>> {
  const read = await readAnyCertificate(tlsClientAuth);
  return read.ok && read.value?.voucher.kind === "itself" ? err({ reason: "certificate_unverified" }) : read;
}

/**
 * As {@link readCertificate}, but a self-signed certificate may be the client's own: the caller must check
 * `voucher`.
 */
export async function readAnyCertificate(
  tlsClientAuth: unknown,
): Promise<Result<Certificate | undefined, CertificateRefusal>> {
  // a host name that asks for no certificate
  if (tlsClientAuth === undefined || tlsClientAuth === null) return ok(undefined);
  if (typeof tlsClientAuth !== "object") return err({ reason: "certificate_malformed" });
  const field = (name: string): unknown => Reflect.get(tlsClientAuth, name);

  const verdict = field("certVerified");
  if (field("certPresented") === "0" && verdict === "NONE") return ok(undefined);
  if (field("certPresented") !== "1") return err({ reason: "certificate_malformed" });
  if (verdict !== "SUCCESS" && verdict !== selfSigned) return err({ reason: "certificate_unverified" });
  // a revoked certificate is still SUCCESS
  if (field("certRevoked") !== "0") return err({ reason: "certificate_revoked" });
  if (field("certRFC9440TooLarge") === true) return err({ reason: "certificate_too_large" });

  const written = field("certRFC9440");
  const known = verdict === selfSigned ? undefined : verifiedCertificates.get(written);
  if (known !== undefined && hasNames(known.voucher, field)) return ok(known);

  const der = decodeByteSequence(written);
  if (der === undefined) return err({ reason: "certificate_malformed" });
  const voucher = verdict === selfSigned ? itself(field) : authority(field, der);
  if (voucher === undefined) return err({ reason: "certificate_unverified" });
  const x5t = toBase64url(new Uint8Array(await crypto.subtle.digest("SHA-256", der)));
  if (voucher.kind === "itself") return ok({ x5t, voucher });
  const verified = Object.freeze({ x5t, voucher: Object.freeze(voucher) });
  verifiedCertificates.set(written, verified);
  return ok(verified);
}

// Certificates in use at a time in an isolate, and their bytes; the edge gives a text of at most 10 KB for each.
const [verifiedMax, verifiedBytesMax] = [1_024, 2_097_152];
/**
 * Certificates of authorities by their text (RFC 9440): the thumbprint depends on the text alone. The edge's
 * verdict on the connection is judged before each look-up, and the names that the edge read are compared.
 * Self-signed certificates do not enter: anyone can make them, and they would fill the memory.
 */
const verifiedCertificates = new Newest<Certificate & { readonly voucher: ByAuthority }, unknown>(
  verifiedMax,
  verifiedBytesMax,
  ({ voucher }) => voucher.der.length,
);

const hasNames = ({ subjectDn, issuerDn }: ByAuthority, field: Field): boolean =>
  subjectDn === text(field("certSubjectDNRFC2253")) && issuerDn === text(field("certIssuerDNRFC2253"));

/**
 * The fingerprint of a certificate that the edge verified and does not know as revoked, for counting calls
 * before anything is proven. Later steps find the certificate's client, and check its registration and the
 * denials.
 */
export function certificateAtEdge(tlsClientAuth: unknown): string | undefined {
  if (typeof tlsClientAuth !== "object" || tlsClientAuth === null) return undefined;
  const field = (name: string): unknown => Reflect.get(tlsClientAuth, name);
  const isGood =
    field("certPresented") === "1" && field("certVerified") === "SUCCESS" && field("certRevoked") === "0";
  const fingerprint = field("certFingerprintSHA256");
  return isGood && typeof fingerprint === "string" && /^[0-9A-Fa-f]{64}$/u.test(fingerprint)
    ? fingerprint.toLowerCase()
    : undefined;
}

/** The end of a presented certificate (`certNotAfter`); undefined for an end that cannot be read. */
export function certificateEnd(tlsClientAuth: unknown): Instant | undefined {
  if (typeof tlsClientAuth !== "object" || tlsClientAuth === null) return undefined;
  const ends = Date.parse(text(Reflect.get(tlsClientAuth, "certNotAfter")));
  return Number.isNaN(ends) ? undefined : instant(ends);
}

// OpenSSL's message, as the edge reports it, for a leaf that is its own issuer. A self-signed certificate
// further up in a chain has a different message.
const selfSigned = "FAILED:self signed certificate";

type Field = (name: string) => unknown;

const text = (value: unknown): string => (typeof value === "string" ? value : "");

function authority(field: Field, der: Uint8Array): ByAuthority {
  return {
    kind: "authority",
    subjectDn: text(field("certSubjectDNRFC2253")),
    issuerDn: text(field("certIssuerDNRFC2253")),
    der,
  };
}

/** The edge's verdict stops at the missing authority, so the edge has not checked the validity period. */
function itself(field: Field): Extract<Voucher, { readonly kind: "itself" }> | undefined {
  const [from, to] = [Date.parse(text(field("certNotBefore"))), Date.parse(text(field("certNotAfter")))];
  return from < to ? { kind: "itself", from: instant(from), to: instant(to) } : undefined;
}

/** RFC 9440 §2: the DER as a structured-field Byte Sequence, `:base64:`. */
function decodeByteSequence(value: unknown): Uint8Array<ArrayBuffer> | undefined {
  const base64 =
    typeof value === "string"
      ? /^:((?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?):$/u.exec(value)?.[1]
      : undefined;
  return base64 === undefined ? undefined : decodeBase64(base64);
}
