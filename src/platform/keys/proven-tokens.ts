import type { TrustedIssuer } from "#identity/issuer";
import type { PublicJwk } from "#identity/jose/jwk";
import type { ProvenToken, Times } from "#identity/token";
import { Newest } from "#kernel/memo";

/** A token whose signature and claims were judged good: settled, frozen data. */
export interface RememberedToken {
  readonly token: ProvenToken;
  /** The FHIR base for which the token was judged. */
  readonly audience: string;
  readonly times: Times;
  readonly lifetimeSecondsMax: number;
  /** The registry's record by which the claims were read. `undefined`: the built-in issuer. */
  readonly issuer: TrustedIssuer | undefined;
  /** The member of the issuer's published key set that proved the token. */
  readonly key: PublicJwk;
}

// Tokens in use at a time in an isolate. A usual token has 700 to 1,500 characters.
const tokensMax = 4_096;
const weightMax = 4_194_304;
// A parsed scope takes about as much memory as this many characters.
const scopeWeight = 256;

/**
 * Proven tokens by their whole text. An immutable text has immutable claims and an immutable signature. Only
 * proven tokens enter, so guesses cannot fill the memory. Everything that a later event can make untrue is
 * asked at each request: the caller of `get` compares times, audience, issuer and published keys.
 */
export class ProvenTokens extends Newest<RememberedToken> {
  constructor() {
    super(tokensMax, weightMax, ({ token }, text) => text.length + scopeWeight * token.scopes.length);
  }

  override set(text: string, remembered: RememberedToken): this {
    return super.set(text, freeze(remembered));
  }
}

/** All requests of an isolate share the token: none of them can change it for the next request. */
function freeze(remembered: RememberedToken): RememberedToken {
  const { token } = remembered;
  for (const scope of token.scopes) {
    for (const filter of scope.filters) {
      Object.freeze(filter.values);
      Object.freeze(filter);
    }
    Object.freeze(scope.permissions);
    Object.freeze(scope.filters);
    Object.freeze(scope);
  }
  for (const part of [token.scopes, token.purposes, token.binding, token, remembered.times])
    Object.freeze(part);
  return Object.freeze(remembered);
}
