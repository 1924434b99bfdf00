import * as z from "zod/mini";
import { publicJwk, type PublicJwk } from "#identity/jose/jwk";
import { thumbprint } from "#identity/jose/thumbprint";
import type { Secret } from "#kernel/secret";
import { importKey } from "./import-key.ts";

/** A signing key, and the public facts for checking its signatures. */
export interface SigningKey {
  readonly algorithm: "ES256" | "EdDSA";
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: PublicJwk;
}

const common = {
  // Printable ASCII, as required for `keyid` of a signature (RFC 9421 §2.3, RFC 9651 §3.3.3).
  kid: z.optional(z.string().check(z.regex(/^[\x20-\x7e]{1,256}$/u))),
  d: z.string().check(z.length(43)),
};
const privateJwk = z.discriminatedUnion("kty", [
  z.object({
    ...common,
    kty: z.literal("EC"),
    crv: z.literal("P-256"),
    x: z.string().check(z.length(43)),
    y: z.string().check(z.length(43)),
  }),
  z.object({
    ...common,
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: z.string().check(z.length(43)),
  }),
]);

/**
 * Reads a private JWK and imports it at most once in each isolate. Throws for an invalid JWK without showing
 * any of it. `kid`: the key's own, or its thumbprint (RFC 7638).
 */
export function signingKey(text: Secret): () => Promise<SigningKey> {
  const { kid, d, ...shown } = parse(text);
  let settled: SigningKey | undefined;
  return async () => {
    if (settled !== undefined) return settled;
    const algorithm = shown.kty === "EC" ? "ES256" : "EdDSA";
    const name = kid ?? (await thumbprint(shown));
    const privateKey = await importKey({ ...shown, d }, algorithm, "sign");
    const key: SigningKey = {
      algorithm,
      kid: name,
      privateKey,
      publicJwk: publicJwk.parse({ ...shown, kid: name, alg: algorithm, use: "sig" }),
    };
    settled = key;
    return key;
  };
}

function parse(text: Secret): z.infer<typeof privateJwk> {
  try {
    return privateJwk.parse(JSON.parse(text.reveal()));
  } catch {
    // a cause would quote the key
    throw new Error("a signing key is not a private JWK of kty EC (P-256) or OKP (Ed25519)");
  }
}
