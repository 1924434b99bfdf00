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
  /** The binding of its token. */
  readonly binding: Binding;
  /** The proof of the key to which the token will be bound. Its first use is not checked yet. */
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

/** The evidence of a client. `proof`: the value of the `DPoP` header in a token request. */
export interface ClientEvidence {
  readonly credential: ClientCredential;
  /** `cf.tlsClientAuth` as the edge gave it. */
  readonly tlsClientAuth: unknown;
  readonly at: Instant;
}

/**
 * Proves a client by its registered method only, and proves the binding of its token: a certificate of the
 * client, or a key that it proves now. A thief with only a stolen assertion gets no token. Clients of
 * external issuers get no token here. `seen` gets a verified certificate even when a later check fails.
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

/** Proves a client that asks about a token. It gets no token, so it need not prove a key. */
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
  // A client without keys is refused in the same time as a client with keys.
  const decoy = decoyClient(claimed.value.id, claimed.value.kid);
  const keyed =
    registered !== undefined && (registered.keys.length > 0 || registered.jwksUri !== undefined)
      ? registered
      : decoy;
  const assertion = await provenAssertion(credential, keyed, at, ports);
  // The time is also the same if no key was tried: otherwise an invented `kid` would tell which clients are
  // registered.
  if (!assertion.ok && untried.has(assertion.error.reason) && keyed !== decoy)
    await provenAssertion(credential, decoy, at, ports);
  if (registered === undefined) return err({ reason: "client_unknown" });
  if (methodOf(registered) !== credential.method)
    return err({ reason: "client_authentication_method_mismatch" });
  if (!assertion.ok) return assertion;
  // RFC 8705 §2.1: here the registered certificate is the credential, whatever the token's binding.
  if (credential.method === "tls_client_auth" && certificate.value === undefined)
    return err({ reason: "certificate_missing" });
  const admitted = admitClient(registered, certificate.value, at);
  if (!admitted.ok) return admitted;
  const bound = await bind(registered, certificate.value);
  if (!bound.ok) return bound;
  const denied = deniedCredential(await ports.denials.of(registered, registered.id), {
    client: registered.id,
    certificate: certificate.value?.x5t,
    proof: bound.value.proof,
    keyId: assertion.value?.keyId,
    issuer: registered.id, // the issuer of assertions is the client
  });
  if (denied !== undefined) return err(denied);
  // This check is last: a thief must not use up an assertion that fails for a different reason, and neither
  // must a client without a nonce.
  if (assertion.value !== undefined && !(await ports.memory.first(registered, assertion.value))) {
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
      // An ignored proof would give the client a token of a type that it does not expect.
      if (text !== undefined) return err({ reason: "proof_not_expected" });
      if (certificate === undefined) return err({ reason: "certificate_missing" });
      return ok({ binding: { kind: "certificate", x5t: certificate.x5t }, proof: undefined });
    case "key": {
      const proof = await proofs.verify(text, { method: "POST", url: tokenEndpoint, at, token: undefined });
      return proof.ok ? ok({ binding: { kind: "key", jkt: proof.value.jkt }, proof: proof.value }) : proof;
    }
  }
}

/** The client id that the request claims, unproven: its certificate or keys are looked up. */
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

/**
 * A client with a self-signed certificate sends the same parameters as a client with an authority's
 * certificate.
 */
const methodOf = ({ authentication }: ClientRecord) =>
  authentication === "self_signed_tls_client_auth" ? "tls_client_auth" : authentication;

const idCharactersMax = 64; // limit for a registered client's id

const untried: ReadonlySet<AssertionRefusal["reason"]> = new Set([
  "key_unknown",
  "algorithm_not_allowed",
] as const);

/** The assertion that may be used once; `undefined` for a method without an assertion. */
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
