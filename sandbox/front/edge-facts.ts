import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { x5tS256 } from "../certificates.ts";
import { tlsClientAuth } from "./tls-client-auth.ts";

// BoringSSL's names of the TLS 1.3 suites, which Cloudflare reports.
const ciphers: Readonly<Record<string, string>> = {
  TLS_AES_128_GCM_SHA256: "AEAD-AES128-GCM-SHA256",
  TLS_AES_256_GCM_SHA384: "AEAD-AES256-GCM-SHA384",
  TLS_CHACHA20_POLY1305_SHA256: "AEAD-CHACHA20-POLY1305-SHA256",
};

/**
 * The headers that give Miniflare the facts an edge knows. The certificate does not change while its
 * connection lasts.
 */
export function edgeFacts(
  authorities: readonly X509Certificate[],
  revoked: ReadonlySet<string>,
): (socket: TLSSocket) => readonly string[] {
  const known = new WeakMap<
    TLSSocket,
    { readonly leaf: X509Certificate | undefined; readonly revoked: boolean; readonly headers: string[] }
  >();
  return (socket) => {
    const before = known.get(socket);
    const leaf = before === undefined ? socket.getPeerX509Certificate() : before.leaf;
    const isRevoked = leaf !== undefined && revoked.has(x5tS256(leaf));
    if (before?.revoked === isRevoked) return before.headers;

    const cf = {
      httpProtocol: "HTTP/1.1",
      tlsVersion: socket.getProtocol(),
      tlsCipher: ciphers[socket.getCipher().name] ?? socket.getCipher().name,
      tlsClientAuth: tlsClientAuth(socket, leaf, authorities, isRevoked),
    };
    const headers = [
      ["MF-CF-Blob", ascii(JSON.stringify(cf))],
      ["MF-Disable-Pretty-Error", "true"],
      ["CF-Connecting-IP", socket.remoteAddress ?? ""],
      ["X-Forwarded-Proto", "https"],
    ].flat();
    known.set(socket, { leaf, revoked: isRevoked, headers });
    return headers;
  };
}

/** JSON in a form that a header permits. */
const ascii = (json: string) =>
  json.replaceAll(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
