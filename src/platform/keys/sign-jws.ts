import type { Algorithm } from "#identity/jose/jwk";
import { toBase64url, utf8 } from "#kernel/encoded";
import { parametersOf } from "./import-key.ts";

/** Signs claims as a compact JWS (RFC 7515 §7.1). */
export async function signJws(
  header: { readonly alg: Algorithm; readonly typ: string; readonly kid: string | undefined },
  claims: object,
  key: CryptoKey,
): Promise<string> {
  const signed = [header, claims].map((part) => toBase64url(utf8(JSON.stringify(part)))).join(".");
  const signature = await crypto.subtle.sign(parametersOf[header.alg], key, utf8(signed));
  return `${signed}.${toBase64url(new Uint8Array(signature))}`;
}
