import type { TokenIssuer, TokenVerifier } from "#identity/ports";
import { isAccessTokenType, readAccessToken, tokenAlgorithms } from "#identity/token";
import { err } from "#kernel/result";
import { verifySignature } from "./verify-signature.ts";

/** Proves tokens of the built-in issuer, and of no other. `issuer`: its exact string. */
export function tokenVerifier({ issuer, keys }: { readonly issuer: string; readonly keys: TokenIssuer }): TokenVerifier {
  return {
    async verify(token, { audience, at }) {
      const jws = await verifySignature(token.reveal(), await keys.publicKeys(), tokenAlgorithms);
      if (!jws.ok) return jws;
      if (!isAccessTokenType(jws.value.header["typ"])) return err({ reason: "token_type_wrong" });
      return readAccessToken(jws.value.claims, { issuer, audience, at, lifetimeSecondsMax: keys.lifetimeSeconds });
    },
  };
}
