import { identifyStored, type StoredAuthority } from "#identity/authority/authority";
import type { IssuerStandings } from "#identity/authority/issuer-standing";
import type { ClientDirectory } from "#identity/ports";
import { hasSameGround, type Principal } from "#identity/principal";
import type { RequestSignatureRefusal } from "#identity/request-signature";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import {
  authenticate,
  registered,
  type Authenticated,
  type AuthenticatePorts,
  type AuthenticateRefusal,
  type PresentedCredentials,
  type StandingRefusal,
} from "./authenticate.ts";

export type SignedRefusal =
  | RequestSignatureRefusal
  | { readonly reason: "form_too_large" | "body_too_large" };

/** Proves the signature of a request; returns the `kid` of the key that signed it. */
export type ProveSigned = (who: Principal) => Promise<Result<string, SignedRefusal>>;

/** Facts about a caller that go on record even when a later check fails. */
export interface CallerFacts {
  /** `x5t#S256` of a verified certificate. */
  readonly certificate?: string;
  readonly principal?: Principal;
  readonly signedBy?: string | undefined;
}

/** A caller who is proven. Only {@link prove} and {@link proveStored} make one. */
export interface Caller extends Authenticated {
  /** `kid` of the key that signed the request. */
  readonly signedBy: string | undefined;
  readonly tlsClientAuth: unknown;
}

const proven = new WeakSet<Caller>();

/**
 * False for an object of the same form that was not proven here: a call from another Worker brings the proof (the
 * edge's facts of the certificate, the token), never a claim.
 */
export const isProven = (caller: Caller): boolean => proven.has(caller);

/** Proves certificate, token, registration and, where the grant asks for it, the request's signature. */
export async function prove(
  presented: PresentedCredentials,
  proveSigned: ProveSigned,
  ports: AuthenticatePorts,
  learn: (facts: CallerFacts) => void,
): Promise<Result<Caller, AuthenticateRefusal | SignedRefusal>> {
  const known = await authenticate(presented, ports, ({ x5t }) => learn({ certificate: x5t }));
  if (!known.ok) return known;
  const { who } = known.value;
  learn({ principal: who });
  const signed = who.grant.signedRequests ? await proveSigned(who) : ok(undefined);
  if (!signed.ok) return signed;
  learn({ signedBy: signed.value });
  const caller = { ...known.value, signedBy: signed.value, tlsClientAuth: presented.tlsClientAuth };
  proven.add(caller);
  return ok(caller);
}

/** The registry, by which a stored authority is judged at each use. */
export interface StoredCallerPorts {
  readonly clients: ClientDirectory;
  readonly issuers: IssuerStandings;
}

/**
 * Proves the caller of a use of a stored authority: the evidence that was proven when it was made, judged by the registry
 * as it is now. No other door of a caller without a token exists.
 *
 * @param use the id of this use.
 * @param tlsClientAuth of the request that goes on under the authority; undefined: none does.
 */
export async function proveStored(
  authority: StoredAuthority,
  use: string,
  { clients, issuers }: StoredCallerPorts,
  at: Instant,
  tlsClientAuth?: unknown,
): Promise<Result<Caller, StandingRefusal>> {
  const { token, certificate } = authority.evidence;
  const identifiedAt = async (moment: Instant) => {
    const [client, issuer] = await Promise.all([registered(token, clients), issuers.of(token.issuer)]);
    return identifyStored(authority, use, { client, issuer }, moment);
  };
  const who = await identifiedAt(at);
  if (!who.ok) return who;
  const stillStands = async (moment: Instant): Promise<Result<undefined, StandingRefusal>> => {
    const again = await identifiedAt(moment);
    if (!again.ok) return again;
    return hasSameGround(again.value, who.value)
      ? ok(undefined)
      : err({ reason: "grant_missing", purpose: who.value.purpose });
  };
  const caller = {
    who: who.value,
    token,
    certificate,
    stillStands,
    signedBy: undefined,
    tlsClientAuth,
  };
  proven.add(caller);
  return ok(caller);
}
