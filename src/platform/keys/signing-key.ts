import { publicJwk, type PublicJwk } from "#identity/jose/jwk";
import { thumbprint } from "#identity/jose/thumbprint";
import type { Secret } from "#kernel/secret";
import {
  literalOf,
  mustFit,
  objectOf,
  optional,
  textLike,
  textOf,
  variantOf,
  type ShapedValue,
} from "#kernel/value-shape";
import { importKey } from "./import-key.ts";

/** A signing key, and the public facts for checking its signatures. */
export interface SigningKey {
  readonly algorithm: "ES256" | "EdDSA";
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: PublicJwk;
}

const part = textOf(43, 43);
const common = {
  // Printable ASCII, as required for `keyid` of a signature (RFC 9421 §2.3, RFC 9651 §3.3.3).
  kid: optional(textLike(/^[\x20-\x7e]{1,256}$/u)),
  d: part,
};
const privateJwk = variantOf("kty", {
  EC: objectOf({ ...common, kty: literalOf(["EC"]), crv: literalOf(["P-256"]), x: part, y: part }),
  OKP: objectOf({ ...common, kty: literalOf(["OKP"]), crv: literalOf(["Ed25519"]), x: part }),
});

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
      publicJwk: mustFit(publicJwk({ ...shown, kid: name, alg: algorithm, use: "sig" })),
    };
    settled = key;
    return key;
  };
}

function parse(text: Secret): ShapedValue<typeof privateJwk> {
  try {
    return mustFit(privateJwk(JSON.parse(text.reveal())));
  } catch {
    // a cause would quote the key
    throw new Error("a signing key is not a private JWK of kty EC (P-256) or OKP (Ed25519)");
  }
}
