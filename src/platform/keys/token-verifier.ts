import { readCompactJws } from "#identity/jose/compact-jws";
import { externalLifetimeSecondsMax, readExternalToken } from "#identity/external-token";
import type { TrustedIssuer } from "#identity/issuer";
import { tokenAlgorithms, type PublicJwk } from "#identity/jose/jwk";
import type { IssuerDirectory, KeySets, TokenIssuer, TokenVerifier } from "#identity/ports";
import {
  readAccessToken,
  timesOf,
  withinTimes,
  type AccessToken,
  type ProvenToken,
  type AccessTokenRefusal,
} from "#identity/token";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { proveAccessToken } from "./prove-access-token.ts";
import type { KeyHolder } from "./prove-by-holder.ts";
import { provenSignatures } from "./proven-signatures.ts";
import { ProvenTokens, type RememberedToken } from "./proven-tokens.ts";
import { isSignedBy } from "./verify-signature.ts";

/**
 * Proves tokens of the built-in issuer and of the registry's external issuers. The still unproven `iss`, an
 * exact string, chooses the issuer. Only that issuer's keys, algorithms and audience are tried: a key proves
 * tokens of its own issuer only (RFC 8725 §3.8).
 *
 * A proven token is remembered by its whole text (ADR 28). A remembered token that still holds is answered at
 * once. Any doubt leads to the full check, so the memory itself refuses nothing and admits nothing new.
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
  const remembered = new ProvenTokens();

  /** True if everything that may change still holds for a remembered token. Throws when keys are missing. */
  const stillHolds = async (
    { audience, times, lifetimeSecondsMax, issuer: by, key }: RememberedToken,
    expected: { readonly audience: string; readonly at: Instant },
  ): Promise<boolean> => {
    if (audience !== expected.audience || !withinTimes(times, expected.at, lifetimeSecondsMax).ok)
      return false;
    if (by === undefined) return (await keys.publicKeys()).includes(key);
    // The registry's record is the same object as long as it was not read anew: its audience, algorithms and
    // names of claims are those by which the token was judged.
    if ((await issuers.find(by.iss)) !== by) return false;
    return (by.jwksUri === undefined ? by.keys : await keySets.at(by.jwksUri, by.iss)).includes(key);
  };

  const prove = async (
    text: string,
    { audience, at }: { readonly audience: string; readonly at: Instant },
  ): Promise<Result<RememberedToken, AccessTokenRefusal>> => {
    const jws = readCompactJws(text);
    if (!jws.ok) return jws;
    const { header, claims } = jws.value;
    const proveBy = (by: KeyHolder & Pick<TrustedIssuer, "algorithms">) =>
      proveAccessToken(text, header, by, keySets, isSigned);

    const iss = claims["iss"];
    if (typeof iss !== "string") return err({ reason: "claim_malformed", claim: "iss" });
    if (iss === issuer) {
      const proven = await proveBy({ keys: await keys.publicKeys(), algorithms: tokenAlgorithms });
      if (!proven.ok) return proven;
      const { lifetimeSeconds: lifetimeSecondsMax } = keys;
      const token = readAccessToken(claims, { issuer, audience, at, lifetimeSecondsMax });
      if (!token.ok) return token;
      const times = timesOf(claims);
      return ok({
        token: signedBy(token.value, proven.value),
        audience,
        times,
        lifetimeSecondsMax,
        issuer: undefined,
        key: proven.value,
      });
    }
    const trusted = await issuers.find(iss);
    if (trusted === undefined) return err({ reason: "issuer_unknown" });
    const proven = await proveBy(trusted);
    if (!proven.ok) return proven;
    const token = readExternalToken(claims, trusted, { bases: namesOf(audience), at });
    if (!token.ok) return token;
    return ok({
      token: signedBy(token.value, proven.value),
      audience,
      times: timesOf(claims),
      lifetimeSecondsMax: externalLifetimeSecondsMax,
      issuer: trusted,
      key: proven.value,
    });
  };

  return {
    async verify(token, expected) {
      const text = token.reveal();
      const known = remembered.get(text);
      if (known !== undefined) {
        if (await stillHolds(known, expected)) return ok(known.token);
        remembered.delete(text); // the checks below say what is wrong, if anything is
      }
      const proven = await prove(text, expected);
      if (!proven.ok) return proven;
      remembered.set(text, proven.value);
      return ok(proven.value.token);
    },
  };
}

/**
 * A token without a `kid` in its header may be proven by any key. It counts as signed with the key that
 * proved it.
 */
const signedBy = (token: AccessToken, { kid }: PublicJwk): ProvenToken => ({ ...token, keyId: kid });
