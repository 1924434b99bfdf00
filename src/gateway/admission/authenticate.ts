import {
  readAnyCertificate,
  type Certificate,
  type CertificateRefusal,
} from "#identity/certificate/certificate";
import type { AuthorityRefusal } from "#identity/authority/authority";
import type { ClientDirectory, TokenVerifier } from "#identity/ports";
import type { ClientRecord } from "#identity/client";
import {
  identify,
  hasSameGround,
  nextDate,
  type Evidence,
  type Principal,
  type PrincipalRefusal,
} from "#identity/principal";
import type { Scheme } from "#identity/authorization";
import type { Proof, ProofRefusal, ProofVerifier } from "#identity/proof";
import type { AccessToken, AccessTokenRefusal, ProvenToken } from "#identity/token";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";

/** The proofs that a caller presents: nothing of them is proven. A call between Workers has them too, never their proof. */
export interface PresentedCredentials {
  readonly at: Instant;
  /** Name of the FHIR origin. */
  readonly origin: string;
  /** How the token was presented, when one was sent. */
  readonly scheme: Scheme | undefined;
  /** The access token (RFC 6750 §2.1, RFC 9449 §7.1), when one was sent. */
  readonly token: Secret | undefined;
  /** The proof of possession (DPoP), and what it has to name. */
  readonly proof: Secret | undefined;
  readonly method: string;
  readonly path: string;
  /** `cf.tlsClientAuth` as the edge gave it; unproven. */
  readonly tlsClientAuth: unknown;
  /** `Phylax-Purpose`: chooses within the token's purposes. */
  readonly purpose: string | undefined;
  /** `Phylax-Justification`: why break-glass is needed. */
  readonly justification?: string | undefined;
}

export type AuthenticateRefusal =
  | { readonly reason: "token_missing" | "token_scheme_mismatch" }
  | CertificateRefusal
  | AccessTokenRefusal
  | ProofRefusal
  | PrincipalRefusal;

/** Why a caller who was proven does not stand any more. */
export type StandingRefusal = PrincipalRefusal | AuthorityRefusal;

/**
 * The caller, and a check that the registry still says so later; registry data is ten seconds old at most.
 */
export interface Authenticated {
  readonly who: Principal;
  /** The token and the certificate that proved the caller. */
  readonly token: ProvenToken;
  readonly certificate: Certificate | undefined;
  readonly stillStands: (at: Instant) => Promise<Result<undefined, StandingRefusal>>;
}

export interface AuthenticatePorts {
  readonly tokens: TokenVerifier;
  readonly proofs: ProofVerifier;
  readonly clients: ClientDirectory;
  /** `https://host[:port]`: the configured name to which the request came, and which its proof names. */
  readonly askedUrl: string;
  /**
   * FHIR base of an origin under the public name: tokens name it as their audience, whatever name the
   * request came to.
   */
  readonly audienceOf: (origin: string) => string;
}

/**
 * Checks the certificate, the token, its binding and the client's entry in the registry: all must hold.
 * `seen` gets a verified certificate even when a later check fails.
 */
export async function authenticate(
  call: PresentedCredentials,
  ports: AuthenticatePorts,
  seen: (certificate: Certificate) => void,
): Promise<Result<Authenticated, AuthenticateRefusal>> {
  const certificate = await readAnyCertificate(call.tlsClientAuth);
  if (!certificate.ok) return certificate;
  if (certificate.value?.voucher.kind === "authority") seen(certificate.value);

  if (call.token === undefined) return err({ reason: "token_missing" });
  const token = await ports.tokens.verify(call.token, {
    audience: ports.audienceOf(call.origin),
    at: call.at,
    certificate: certificate.value,
  });
  if (!token.ok) return token;
  const proof = await proofOf(call, call.token, token.value, ports);
  if (!proof.ok) return proof;

  const evidence = {
    token: token.value,
    certificate: certificate.value,
    proof: proof.value,
    origin: call.origin,
    purpose: call.purpose,
    justification: call.justification,
  };
  const client = await registered(token.value, ports.clients);
  const identified = identifiedBefore(evidence, client, call.at) ?? identifyNow(evidence, client, call.at);
  if (!identified.ok) return identified;
  const { who } = identified.value;
  const stillStands = async (at: Instant): Promise<Result<undefined, PrincipalRefusal>> => {
    const latest = await registered(evidence.token, ports.clients);
    if (isUnchanged(identified.value, latest, at)) return ok(undefined);
    const again = identify({ ...evidence, client: latest, at });
    if (!again.ok) return again;
    return hasSameGround(again.value, who)
      ? ok(undefined)
      : err({ reason: "grant_missing", purpose: who.purpose });
  };
  return ok({ who, token: token.value, certificate: certificate.value, stillStands });
}

type Presented = Omit<Evidence, "client" | "at">;

/** A principal, and the evidence and the time for which nothing can change it. */
interface Identified {
  readonly who: Principal;
  readonly client: ClientRecord | undefined;
  readonly presented: Presented;
  readonly from: Instant;
  /** See {@link nextDate}. */
  readonly until: Instant;
}

/**
 * The last principal of each proven token. A token that is remembered is the same object at each request
 * (ADR 28), and so is its certificate.
 */
const lastIdentified = new WeakMap<ProvenToken, Identified>();

/** The registry's record of a token's client: the same object until the registry is read anew. */
export const registered = (
  { issuedHere, issuer, client }: ProvenToken,
  clients: ClientDirectory,
): Promise<ClientRecord | undefined> =>
  issuedHere ? clients.find(client) : clients.findExternal({ issuer, id: client });

const isUnchanged = ({ client, from, until }: Identified, latest: ClientRecord | undefined, at: Instant) =>
  latest === client && at >= from && at < until;

function identifiedBefore(
  { token, certificate, proof, origin, purpose, justification }: Presented,
  client: ClientRecord | undefined,
  at: Instant,
): Result<Identified, never> | undefined {
  const known = lastIdentified.get(token);
  if (known === undefined || proof !== undefined || !isUnchanged(known, client, at)) return undefined;
  const { presented } = known;
  const isSame =
    presented.certificate === certificate &&
    presented.origin === origin &&
    presented.purpose === purpose &&
    presented.justification === justification;
  return isSame ? ok(known) : undefined;
}

function identifyNow(
  presented: Presented,
  client: ClientRecord | undefined,
  at: Instant,
): Result<Identified, PrincipalRefusal> {
  const who = identify({ ...presented, client, at });
  if (!who.ok) return who;
  const registered = nextDate(who.value.client, presented.certificate, at);
  const ends = who.value.emergency?.until ?? registered;
  const until = ends < registered ? ends : registered;
  const identified = { who: Object.freeze(who.value), client, presented, from: at, until };
  // A principal with a proof is of a single request.
  if (presented.proof === undefined) lastIdentified.set(presented.token, identified);
  return ok(identified);
}

/**
 * RFC 9449 §7.2: only a token that is bound to a key has the scheme `DPoP`, so that no server takes it for a
 * bearer token.
 */
async function proofOf(
  { scheme, proof, method, path, at }: PresentedCredentials,
  text: Secret,
  { binding }: AccessToken,
  { proofs, askedUrl }: AuthenticatePorts,
): Promise<Result<Proof | undefined, AuthenticateRefusal>> {
  switch (binding.kind) {
    case "certificate":
    case "none":
      return scheme === "bearer" ? ok(undefined) : err({ reason: "token_scheme_mismatch" });
    case "key":
      if (scheme !== "dpop") return err({ reason: "token_scheme_mismatch" });
      return proofs.verify(proof, { method, url: askedUrl + path, at, token: { text, jkt: binding.jkt } });
  }
}
