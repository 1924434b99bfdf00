import type { AssertionRefusal, ProvenAssertion } from "#identity/assertion";
import type { Binding } from "#identity/binding";
import {
  readAnyCertificate,
  type Certificate,
  type CertificateRefusal,
} from "#identity/certificate/certificate";
import { admitClient, type ClientRecord, type ClientRefusal } from "#identity/client";
import { readCompactJws } from "#identity/jose/compact-jws";
import { deniedCredential, type CredentialDenied } from "#identity/denial";
import type { AssertionMemory, AssertionVerifier, ClientDirectory, DenialList } from "#identity/ports";
import type { Proof, ProofRefusal, ProofVerifier } from "#identity/proof";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Secret } from "#kernel/secret";
import { decoyClient } from "./decoy-client.ts";
import type { ClientCredential } from "./token-request.ts";

export interface AuthenticatedClient {
  readonly client: ClientRecord;
  /** What its token will be bound to. */
  readonly binding: Binding;
  /** The proof of the key that the token will be bound to; not yet known to be its first use. */
  readonly proof: Proof | undefined;
}

export type ClientAuthenticationRefusal =
  | CertificateRefusal
  | AssertionRefusal
  | ClientRefusal
  | CredentialDenied
  | ProofRefusal
  | {
      readonly reason:
        | "client_unknown"
        | "client_id_mismatch"
        | "client_authentication_method_mismatch"
        | "assertion_replayed"
        | "proof_not_expected";
    };

export interface ClientAuthenticationPorts {
  readonly clients: ClientDirectory;
  readonly assertions: AssertionVerifier;
  readonly memory: AssertionMemory;
  readonly denials: DenialList;
  readonly proofs: ProofVerifier;
  /** The address that a proof must name. */
  readonly tokenEndpoint: string;
}

/** What a client brings to prove itself. `proof`, where a token is to be had: the value of the `DPoP` header. */
export interface ClientEvidence {
  readonly credential: ClientCredential;
  /** `cf.tlsClientAuth` as the edge gave it. */
  readonly tlsClientAuth: unknown;
  readonly at: Instant;
}

/**
 * Proves a client by the one method that it is registered with, never by the other, and what its token will be bound to: a certificate of
 * its own or a key that it proves now, so that whoever holds a stolen assertion alone gets none. Clients of external issuers get no token
 * here. `seen` hears of a verified certificate even when the rest fails.
 */
export function authenticateClient(
  evidence: ClientEvidence & { readonly proof: Secret | undefined },
  ports: ClientAuthenticationPorts,
  seen: (certificate: Certificate) => void,
): Promise<Result<AuthenticatedClient, ClientAuthenticationRefusal>> {
  return proveClient(evidence, ports, seen, (client, certificate) =>
    bindingOf(client, certificate, evidence.proof, evidence.at, ports),
  );
}

/** The same for a client that asks about a token and gets none: with nothing to bind, it need not prove a key. */
export function authenticateAsker(
  evidence: ClientEvidence,
  ports: ClientAuthenticationPorts,
  seen: (certificate: Certificate) => void,
): Promise<Result<{ readonly client: ClientRecord }, ClientAuthenticationRefusal>> {
  return proveClient(evidence, ports, seen, () => Promise.resolve(ok({ proof: undefined })));
}

async function proveClient<B extends { readonly proof: Proof | undefined }>(
  { credential, tlsClientAuth, at }: ClientEvidence,
  ports: ClientAuthenticationPorts,
  seen: (certificate: Certificate) => void,
  bind: (
    client: ClientRecord,
    certificate: Certificate | undefined,
  ) => Promise<Result<B, ClientAuthenticationRefusal>>,
): Promise<Result<B & { readonly client: ClientRecord }, ClientAuthenticationRefusal>> {
  const certificate = await readAnyCertificate(tlsClientAuth);
  if (!certificate.ok) return certificate;
  if (certificate.value?.voucher.kind === "authority") seen(certificate.value);

  const claimed = claimedClient(credential);
  if (!claimed.ok) return claimed;
  const registered = await ports.clients.find(claimed.value.id);
  // One without keys is refused in the time that one with some takes.
  const decoy = decoyClient(claimed.value.id, claimed.value.kid);
  const keyed =
    registered !== undefined && (registered.keys.length > 0 || registered.jwksUri !== undefined)
      ? registered
      : decoy;
  const assertion = await provenAssertion(credential, keyed, at, ports);
  // So is one of whose keys none was tried: a made-up `kid` would tell who is registered.
  if (!assertion.ok && untried.has(assertion.error.reason) && keyed !== decoy)
    await provenAssertion(credential, decoy, at, ports);
  if (registered === undefined) return err({ reason: "client_unknown" });
  if (methodOf(registered) !== credential.method)
    return err({ reason: "client_authentication_method_mismatch" });
  if (!assertion.ok) return assertion;
  // RFC 8705 §2.1: here the registered certificate is the credential, whatever the token is bound to.
  if (credential.method === "tls_client_auth" && certificate.value === undefined)
    return err({ reason: "certificate_missing" });
  const admitted = admitClient(registered, certificate.value, at);
  if (!admitted.ok) return admitted;
  const bound = await bind(registered, certificate.value);
  if (!bound.ok) return bound;
  const denied = deniedCredential(await ports.denials.of(registered.id, registered.id), {
    client: registered.id,
    certificate: certificate.value?.x5t,
    proof: bound.value.proof,
    keyId: assertion.value?.keyId,
    issuer: registered.id, // of the keys that a client signs its assertions with
  });
  if (denied !== undefined) return err(denied);
  // Last: an assertion that fails otherwise must not be used up by whoever caught it on the way, nor by a client that has no nonce yet.
  if (assertion.value !== undefined && !(await ports.memory.first(registered.id, assertion.value))) {
    return err({ reason: "assertion_replayed" });
  }
  return ok({ client: registered, ...bound.value });
}

type Bound = Pick<AuthenticatedClient, "binding" | "proof">;

async function bindingOf(
  client: ClientRecord,
  certificate: Certificate | undefined,
  text: Secret | undefined,
  at: Instant,
  { proofs, tokenEndpoint }: ClientAuthenticationPorts,
): Promise<Result<Bound, ClientAuthenticationRefusal>> {
  switch (client.tokensBoundTo) {
    case "certificate":
      // Ignored, it would get a token of another type than the client means to use.
      if (text !== undefined) return err({ reason: "proof_not_expected" });
      if (certificate === undefined) return err({ reason: "certificate_missing" });
      return ok({ binding: { kind: "certificate", x5t: certificate.x5t }, proof: undefined });
    case "key": {
      const proof = await proofs.verify(text, { method: "POST", url: tokenEndpoint, at, token: undefined });
      return proof.ok ? ok({ binding: { kind: "key", jkt: proof.value.jkt }, proof: proof.value }) : proof;
    }
  }
}

/** Whose certificate or keys to look for: the request's own, still unproven, word. */
function claimedClient(
  credential: ClientCredential,
): Result<{ readonly id: string; readonly kid: unknown }, ClientAuthenticationRefusal> {
  const { method, clientId } = credential;
  if (method === "tls_client_auth") {
    return clientId.length > idCharactersMax
      ? err({ reason: "client_unknown" })
      : ok({ id: clientId, kid: undefined });
  }
  const jws = readCompactJws(credential.assertion.reveal());
  if (!jws.ok) return jws;
  const sub: unknown = Reflect.get(jws.value.claims, "sub");
  if (typeof sub !== "string" || sub === "" || sub.length > idCharactersMax)
    return err({ reason: "claim_malformed", claim: "sub" });
  return clientId === undefined || clientId === sub
    ? ok({ id: sub, kid: jws.value.header["kid"] })
    : err({ reason: "client_id_mismatch" });
}

/** One with a certificate of its own making sends what one with an authority's sends. */
const methodOf = ({ authentication }: ClientRecord) =>
  authentication === "self_signed_tls_client_auth" ? "tls_client_auth" : authentication;

const idCharactersMax = 64; // of a registered client

const untried: ReadonlySet<AssertionRefusal["reason"]> = new Set([
  "key_unknown",
  "algorithm_not_allowed",
] as const);

/** The assertion that is left to be accepted once; none where the method has none. */
async function provenAssertion(
  credential: ClientCredential,
  client: ClientRecord,
  at: Instant,
  { assertions }: ClientAuthenticationPorts,
): Promise<Result<ProvenAssertion | undefined, AssertionRefusal>> {
  return credential.method === "tls_client_auth"
    ? ok(undefined)
    : assertions.verify(credential.assertion, client, at);
}
