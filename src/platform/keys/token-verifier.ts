import { readCompactJws } from "#identity/jose/compact-jws";
import { readExternalToken } from "#identity/external-token";
import type { TrustedIssuer } from "#identity/issuer";
import type { PublicJwk } from "#identity/jose/jwk";
import type { IssuerDirectory, KeySets, TokenIssuer, TokenVerifier } from "#identity/ports";
import {
  readAccessToken,
  tokenAlgorithms,
  type AccessToken,
  type ProvenToken,
  type AccessTokenRefusal,
} from "#identity/token";
import { err, ok, type Result } from "#kernel/result";
import { proveAccessToken } from "./prove-access-token.ts";
import type { KeyHolder } from "./prove-by-holder.ts";
import { provenSignatures } from "./proven-signatures.ts";
import { isSignedBy } from "./verify-signature.ts";

/**
 * Proves tokens of the built-in issuer and of the registry's external issuers. The still unproven `iss`, an
 * exact string, chooses the issuer. Only that issuer's keys, algorithms and audience are tried: a key proves
 * tokens of its own issuer only (RFC 8725 §3.8).
 * @param issuer the built-in issuer's exact name; no entry of `issuers` may use it.
 */
export function tokenVerifier({
  issuer,
  keys,
  issuers,
  keySets,
  namesOf = (base) => [base],
}: {
  readonly issuer: string;
  readonly keys: TokenIssuer;
  readonly issuers: IssuerDirectory;
  readonly keySets: KeySets;
  /** A FHIR base under each of the gateway's own names. */
  readonly namesOf?: (base: string) => readonly string[];
}): TokenVerifier {
  const isSigned = provenSignatures(isSignedBy);
  return {
    async verify(token, { audience, at }) {
      const text = token.reveal();
      const jws = readCompactJws(text);
      if (!jws.ok) return jws;
      const { header, claims } = jws.value;
      const prove = (by: KeyHolder & Pick<TrustedIssuer, "algorithms">) =>
        proveAccessToken(text, header, by, keySets, isSigned);

      const iss = claims["iss"];
      if (typeof iss !== "string") return err({ reason: "claim_malformed", claim: "iss" });
      if (iss === issuer) {
        const proven = await prove({ keys: await keys.publicKeys(), algorithms: tokenAlgorithms });
        if (!proven.ok) return proven;
        return signed(
          readAccessToken(claims, { issuer, audience, at, lifetimeSecondsMax: keys.lifetimeSeconds }),
          proven.value,
        );
      }
      const trusted = await issuers.find(iss);
      if (trusted === undefined) return err({ reason: "issuer_unknown" });
      const proven = await prove(trusted);
      return proven.ok
        ? signed(readExternalToken(claims, trusted, { bases: namesOf(audience), at }), proven.value)
        : proven;
    },
  };
}

/**
 * A token without a `kid` in its header may be proven by any key. It counts as signed with the key that
 * proved it.
 */
function signed(
  token: Result<AccessToken, AccessTokenRefusal>,
  { kid }: PublicJwk,
): Result<ProvenToken, AccessTokenRefusal> {
  return token.ok ? ok({ ...token.value, keyId: kid }) : token;
}
