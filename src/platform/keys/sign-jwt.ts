import type { Algorithm } from "#identity/jose/jwk";
import { toBase64url } from "#kernel/encoded";
import { signatureParameters } from "./signed-bytes.ts";

interface SigningWith {
  readonly algorithm: Algorithm;
  readonly privateKey: CryptoKey;
  readonly kid: string | undefined;
}

/** Signs claims as a JWT (RFC 7519) in compact form. Claims that are undefined are left out. */
export async function signJwt(
  typ: string,
  claims: Readonly<Record<string, unknown>>,
  { algorithm, privateKey, kid }: SigningWith,
): Promise<string> {
  const text = [{ alg: algorithm, typ, kid }, claims].map(part).join(".");
  const signature = await crypto.subtle.sign(
    signatureParameters[algorithm],
    privateKey,
    new TextEncoder().encode(text),
  );
  return `${text}.${toBase64url(new Uint8Array(signature))}`;
}

const part = (members: object): string => toBase64url(new TextEncoder().encode(JSON.stringify(members)));
