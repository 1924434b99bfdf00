import "reflect-metadata"; // before @peculiar/x509, because its containers need it
import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import * as x509 from "@peculiar/x509";

/**
 * `request.cf.tlsClientAuth`: the fields, in the formats, that Cloudflare's edge gives a Worker on a host
 * with mTLS.
 */
export type TlsClientAuth = Record<
  Exclude<keyof IncomingRequestCfPropertiesTLSClientAuth, TooLarge>,
  string
> &
  Record<TooLarge, boolean>;
type TooLarge = "certRFC9440TooLarge" | "certChainRFC9440TooLarge";

// developers.cloudflare.com/ssl/client-certificates/client-certificate-variables: the DER fields are left
// empty above these sizes.
const certBytesMax = 10_240;
const chainBytesMax = 16_384;

/**
 * The edge's facts about the connection's client certificate. A revoked but otherwise valid certificate is
 * `SUCCESS` with `certRevoked: "1"`. `leaf` is the socket's first result: later the socket returns the
 * certificate without its chain.
 */
export function tlsClientAuth(
  socket: TLSSocket,
  leaf: X509Certificate | undefined,
  authorities: readonly X509Certificate[],
  revoked: boolean,
): TlsClientAuth {
  if (leaf === undefined) return none;
  const issuer = authorities.find(
    (authority) => leaf.checkIssued(authority) && leaf.verify(authority.publicKey),
  );
  const cert = structuredBytes(leaf);
  const chain = intermediates(leaf, authorities).map(structuredBytes).join(", ");
  return {
    certPresented: "1",
    certVerified: verdict(socket),
    certRevoked: revoked ? "1" : "0",
    certIssuerDN: rfc2253(leaf.issuer),
    certSubjectDN: rfc2253(leaf.subject),
    certIssuerDNRFC2253: rfc2253(leaf.issuer),
    certSubjectDNRFC2253: rfc2253(leaf.subject),
    certIssuerDNLegacy: legacy(leaf.issuer),
    certSubjectDNLegacy: legacy(leaf.subject),
    certSerial: leaf.serialNumber,
    certIssuerSerial: issuer?.serialNumber ?? "",
    ...keyIdentifiers(leaf),
    certFingerprintSHA1: leaf.fingerprint.replaceAll(":", "").toLowerCase(),
    certFingerprintSHA256: leaf.fingerprint256.replaceAll(":", "").toLowerCase(),
    certNotBefore: leaf.validFrom,
    certNotAfter: leaf.validTo,
    certRFC9440: cert.length > certBytesMax ? "" : cert,
    certRFC9440TooLarge: cert.length > certBytesMax,
    certChainRFC9440: chain.length > chainBytesMax ? "" : chain,
    certChainRFC9440TooLarge: chain.length > chainBytesMax,
  };
}

const none: TlsClientAuth = {
  certPresented: "0",
  certVerified: "NONE",
  certRevoked: "0",
  certIssuerDN: "",
  certSubjectDN: "",
  certIssuerDNRFC2253: "",
  certSubjectDNRFC2253: "",
  certIssuerDNLegacy: "",
  certSubjectDNLegacy: "",
  certSerial: "",
  certIssuerSerial: "",
  certSKI: "",
  certIssuerSKI: "",
  certFingerprintSHA1: "",
  certFingerprintSHA256: "",
  certNotBefore: "",
  certNotAfter: "",
  certRFC9440: "",
  certRFC9440TooLarge: false,
  certChainRFC9440: "",
  certChainRFC9440TooLarge: false,
};

/** OpenSSL's words for its verdicts, by Node's names. */
const failures: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: "self signed certificate",
  SELF_SIGNED_CERT_IN_CHAIN: "self signed certificate in certificate chain",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "unable to verify the first certificate",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "unable to get local issuer certificate",
  UNABLE_TO_GET_ISSUER_CERT: "unable to get issuer certificate",
  CERT_NOT_YET_VALID: "certificate is not yet valid",
  CERT_HAS_EXPIRED: "certificate has expired",
  CERT_SIGNATURE_FAILURE: "certificate signature failure",
  INVALID_PURPOSE: "unsupported certificate purpose",
};

function verdict(socket: TLSSocket): string {
  if (socket.authorized) return "SUCCESS";
  // Typed as an Error, but by Node's version the code itself or an Error with a code.
  const fault: unknown = socket.authorizationError;
  const code = fault instanceof Error && "code" in fault ? fault.code : fault;
  const reason = typeof code === "string" ? failures[code] : undefined;
  return reason === undefined ? "FAILED" : `FAILED:${reason}`;
}

// Node writes each part of a name on its own line in encoding order. A part with several attributes has " + "
// between them, escaped as RFC 2253 §2.4 requires.
const attributes = (name: string) => name.split("\n").filter((line) => line !== "");
/** OpenSSL's form: §2.1 reverses the order, and letters beyond ASCII are their bytes (§2.4). */
const rfc2253 = (name: string) =>
  attributes(name)
    .toReversed()
    .map((part) => part.split(" + ").toReversed().join("+"))
    .join(",")
    .replaceAll(/[^\x20-\x7e]+/gu, (letters) =>
      [...Buffer.from(letters)]
        .map((byte) => `\\${byte.toString(16).toUpperCase().padStart(2, "0")}`)
        .join(""),
    );
const legacy = (name: string) =>
  attributes(name)
    .map((attribute) => `/${attribute}`)
    .join("");

/** RFC 9440 §2.1: a structured-field byte sequence of the DER. */
const structuredBytes = (cert: X509Certificate) => `:${cert.raw.toString("base64")}:`;

/**
 * The client's own chain: the certificates that it sent between its certificate and an authority that the
 * front knows.
 */
function intermediates(leaf: X509Certificate, authorities: readonly X509Certificate[]): X509Certificate[] {
  const known = new Set([leaf, ...authorities].map((cert) => cert.fingerprint256));
  const chain: X509Certificate[] = [];
  for (
    let cert = leaf.issuerCertificate;
    cert !== undefined && !known.has(cert.fingerprint256);
    cert = cert.issuerCertificate
  ) {
    known.add(cert.fingerprint256);
    chain.push(cert);
  }
  return chain;
}

function keyIdentifiers(leaf: X509Certificate): { certSKI: string; certIssuerSKI: string } {
  try {
    const cert = new x509.X509Certificate(leaf.raw);
    return {
      certSKI: cert.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId.toUpperCase() ?? "",
      certIssuerSKI: cert.getExtension(x509.AuthorityKeyIdentifierExtension)?.keyId?.toUpperCase() ?? "",
    };
  } catch {
    // A foreign certificate that OpenSSL reads and this library does not.
    return { certSKI: "", certIssuerSKI: "" };
  }
}
