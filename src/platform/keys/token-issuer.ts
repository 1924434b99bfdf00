import { confirmation } from "#identity/binding";
import type { PublicJwk } from "#identity/jose/jwk";
import type { TokenIssuer } from "#identity/ports";
import { formatScopes } from "#identity/scopes";
import { epochSeconds } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { signJws } from "./sign-jws.ts";
import { signingKey } from "./signing-key.ts";

const lifetimeSeconds = 300;

interface TokenIssuerOptions {
  readonly issuer: string;
  readonly key: Secret;
  /**
   * Keys that signed until lately, or will sign soon. They are published and accepted together with the
   * signing key, so that it can be changed without a gap.
   */
  readonly others?: readonly PublicJwk[];
}

/** The keys of the built-in issuer for a Worker that signs no token. */
export const verificationKeys = (
  keys: readonly PublicJwk[],
): Pick<TokenIssuer, "lifetimeSeconds" | "publicKeys"> => ({ lifetimeSeconds, publicKeys: async () => keys });

/**
 * Signs RFC 9068 access tokens bound to a certificate (RFC 8705 §3) or a key (RFC 9449 §6). `key`: a private
 * JWK in JSON, P-256 or Ed25519.
 */
export function tokenIssuer({ issuer, key, others = [] }: TokenIssuerOptions): TokenIssuer {
  const signer = signingKey(key);
  let published: readonly PublicJwk[] | undefined;
  return {
    lifetimeSeconds,
    async issue({ client, audience, scopes, purposes, binding, id, at }) {
      const { algorithm, kid, privateKey } = await signer();
      const now = epochSeconds(at);
      const claims = {
        iss: issuer,
        sub: client, // RFC 9068 §2.2: no resource owner, so the client itself
        client_id: client,
        aud: audience,
        exp: now + lifetimeSeconds,
        iat: now,
        jti: id,
        scope: formatScopes(scopes),
        purpose_of_use: purposes,
        cnf: confirmation(binding),
      };
      return new Secret(await signJws({ alg: algorithm, typ: "at+jwt", kid }, claims, privateKey));
    },
    async publicKeys() {
      const { publicJwk } = await signer();
      // One name stands for one key: a public half under the signing key's name is that key, or a mistake
      // that must not be accepted.
      return (published ??= [publicJwk, ...others.filter(({ kid }) => kid !== publicJwk.kid)]);
    },
  };
}
