import { readCompactJws, type CompactJws } from "#identity/jose/compact-jws";
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
import type { Secret } from "#kernel/secret";
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
 */
export const tokenVerifier = (parts: VerifierParts): TokenVerifier => new RememberingVerifier(parts);

interface VerifierParts {
  /** The built-in issuer's exact name; no entry of `issuers` may use it. */
  readonly issuer: string;
  readonly keys: Pick<TokenIssuer, "lifetimeSeconds" | "publicKeys">;
  readonly issuers: IssuerDirectory;
  readonly keySets: KeySets;
  /** A FHIR base under each of the gateway's own names. */
  readonly namesOf?: (base: string) => readonly string[];
}

/** The FHIR base that a request calls, and its time. */
interface CalledAt {
  readonly audience: string;
  readonly at: Instant;
}

/** A JWS as text, and its parts. Nothing of it is proven. */
interface UnprovenToken extends CompactJws {
  readonly text: string;
}

class RememberingVerifier implements TokenVerifier {
  readonly #parts: VerifierParts;
  readonly #isSigned = provenSignatures(isSignedBy);
  readonly #remembered = new ProvenTokens();

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  async verify(token: Secret, called: CalledAt): Promise<Result<ProvenToken, AccessTokenRefusal>> {
    const text = token.reveal();
    const known = this.#remembered.get(text);
    if (known !== undefined) {
      if (await this.#stillHolds(known, called)) return ok(known.token);
      this.#remembered.delete(text); // the checks below say what is wrong, if anything is
    }
    const proven = await this.#prove(text, called);
    if (!proven.ok) return proven;
    this.#remembered.set(text, proven.value);
    return ok(proven.value.token);
  }

  /** True if everything that may change still holds for a remembered token. Throws when keys are missing. */
  async #stillHolds(
    { audience, times, lifetimeSecondsMax, issuer: by, key }: RememberedToken,
    called: CalledAt,
  ): Promise<boolean> {
    const { keys, issuers, keySets } = this.#parts;
    if (audience !== called.audience || !withinTimes(times, called.at, lifetimeSecondsMax).ok) return false;
    if (by === undefined) return (await keys.publicKeys()).includes(key);
    // The registry's record is the same object as long as it was not read anew: its audience, algorithms and
    // names of claims are those by which the token was judged.
    if ((await issuers.find(by.iss)) !== by) return false;
    return (by.jwksUri === undefined ? by.keys : await keySets.at(by.jwksUri, by.iss)).includes(key);
  }

  async #prove(text: string, called: CalledAt): Promise<Result<RememberedToken, AccessTokenRefusal>> {
    const jws = readCompactJws(text);
    if (!jws.ok) return jws;
    const unproven = { text, ...jws.value };
    const iss = unproven.claims["iss"];
    if (typeof iss !== "string") return err({ reason: "claim_malformed", claim: "iss" });
    if (iss === this.#parts.issuer) return this.#proveOwn(unproven, called);
    const trusted = await this.#parts.issuers.find(iss);
    return trusted === undefined
      ? err({ reason: "issuer_unknown" })
      : this.#proveExternal(unproven, trusted, called);
  }

  /** Proves a token of the built-in issuer. */
  async #proveOwn(
    unproven: UnprovenToken,
    { audience, at }: CalledAt,
  ): Promise<Result<RememberedToken, AccessTokenRefusal>> {
    const { issuer, keys } = this.#parts;
    const proven = await this.#proveBy(
      { keys: await keys.publicKeys(), algorithms: tokenAlgorithms },
      unproven,
    );
    if (!proven.ok) return proven;
    const { lifetimeSeconds: lifetimeSecondsMax } = keys;
    const token = readAccessToken(unproven.claims, { issuer, audience, at, lifetimeSecondsMax });
    if (!token.ok) return token;
    return ok({
      token: signedBy(token.value, proven.value),
      audience,
      times: timesOf(unproven.claims),
      lifetimeSecondsMax,
      issuer: undefined,
      key: proven.value,
    });
  }

  async #proveExternal(
    unproven: UnprovenToken,
    trusted: TrustedIssuer,
    { audience, at }: CalledAt,
  ): Promise<Result<RememberedToken, AccessTokenRefusal>> {
    const { namesOf = (base) => [base] } = this.#parts;
    const proven = await this.#proveBy(trusted, unproven);
    if (!proven.ok) return proven;
    const token = readExternalToken(unproven.claims, trusted, { bases: namesOf(audience), at });
    if (!token.ok) return token;
    return ok({
      token: signedBy(token.value, proven.value),
      audience,
      times: timesOf(unproven.claims),
      lifetimeSecondsMax: externalLifetimeSecondsMax,
      issuer: trusted,
      key: proven.value,
    });
  }

  #proveBy(by: KeyHolder & Pick<TrustedIssuer, "algorithms">, { text, header }: UnprovenToken) {
    return proveAccessToken(text, header, by, this.#parts.keySets, this.#isSigned);
  }
}

/**
 * A token without a `kid` in its header may be proven by any key. It counts as signed with the key that
 * proved it.
 */
const signedBy = (token: AccessToken, { kid }: PublicJwk): ProvenToken => ({ ...token, keyId: kid });
