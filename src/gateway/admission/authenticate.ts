import {
  readAnyCertificate,
  type Certificate,
  type CertificateRefusal,
} from "#identity/certificate/certificate";
import type { ClientDirectory, TokenVerifier } from "#identity/ports";
import { identify, hasSameGround, type Principal, type PrincipalRefusal } from "#identity/principal";
import type { Proof, ProofRefusal, ProofVerifier } from "#identity/proof";
import type { AccessToken, AccessTokenRefusal } from "#identity/token";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import type { Call } from "./admit.ts";

export type AuthenticateRefusal =
  | { readonly reason: "token_missing" | "token_scheme_mismatch" }
  | CertificateRefusal
  | AccessTokenRefusal
  | ProofRefusal
  | PrincipalRefusal;

/**
 * The caller, and a check that the registry still says so later; registry data is ten seconds old at most.
 */
export interface Authenticated {
  readonly who: Principal;
  readonly stillStands: (at: Instant) => Promise<Result<undefined, PrincipalRefusal>>;
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
  call: Call,
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

  const { issuedHere, issuer, client } = token.value;
  const evidence = {
    token: token.value,
    certificate: certificate.value,
    proof: proof.value,
    origin: call.origin,
    purpose: call.purpose,
  };
  const identifyAt = async (at: Instant) => {
    const registered = await (issuedHere
      ? ports.clients.find(client)
      : ports.clients.findExternal({ issuer, id: client }));
    return identify({ ...evidence, client: registered, at });
  };
  const who = await identifyAt(call.at);
  if (!who.ok) return who;
  const stillStands = async (at: Instant): Promise<Result<undefined, PrincipalRefusal>> => {
    const now = await identifyAt(at);
    if (!now.ok) return now;
    return hasSameGround(now.value, who.value)
      ? ok(undefined)
      : err({ reason: "grant_missing", purpose: who.value.purpose });
  };
  return ok({ who: who.value, stillStands });
}

/**
 * RFC 9449 §7.2: only a token that is bound to a key has the scheme `DPoP`, so that no server takes it for a
 * bearer token.
 */
async function proofOf(
  { scheme, proof, method, path, at }: Call,
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
