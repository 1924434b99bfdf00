import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import type { TLSSocket } from "node:tls";
import { tlsClientAuth } from "../../../sandbox/front/tls-client-auth.ts";

const known = new Map<string, object>();

/**
 * `request.cf` for a caller with this certificate (the path of a PEM file), as the front would set it after
 * a handshake. `undefined`: the caller shows no certificate.
 */
export function edgeFacts(certificate: string | undefined, authority: string): object {
  const pem = certificate === undefined ? "" : readFileSync(certificate, "utf8");
  const name = `${authority} ${pem}`;
  const facts = known.get(name) ?? factsOf(pem, new X509Certificate(readFileSync(authority)));
  known.set(name, facts);
  return facts;
}

function factsOf(pem: string, authority: X509Certificate): object {
  const leaf = pem === "" ? undefined : new X509Certificate(pem);
  const fault = leaf === undefined ? undefined : faultOf(leaf, authority);
  const socket = { authorized: leaf !== undefined && fault === undefined, authorizationError: fault };
  return {
    httpProtocol: "HTTP/1.1",
    tlsVersion: "TLSv1.3",
    tlsCipher: "AEAD-AES256-GCM-SHA384",
    // it reads these two members of a socket
    tlsClientAuth: tlsClientAuth(socket as unknown as TLSSocket, leaf, [authority], false),
  };
}

/** Node's name for the fault that a TLS server would find in the certificate. */
function faultOf(leaf: X509Certificate, authority: X509Certificate): string | undefined {
  if (leaf.checkIssued(authority) && leaf.verify(authority.publicKey)) {
    if (Date.now() < leaf.validFromDate.getTime()) return "CERT_NOT_YET_VALID";
    return Date.now() > leaf.validToDate.getTime() ? "CERT_HAS_EXPIRED" : undefined;
  }
  return leaf.checkIssued(leaf) ? "DEPTH_ZERO_SELF_SIGNED_CERT" : "UNABLE_TO_VERIFY_LEAF_SIGNATURE";
}
