import type { AssertionRefusal } from "#identity/assertion";
import { readCertificate, type Certificate, type CertificateRefusal } from "#identity/certificate";
import { admitClient, type ClientRecord, type ClientRefusal } from "#identity/client";
import { readCompactJws } from "#identity/compact-jws";
import type { AssertionMemory, AssertionVerifier, ClientDirectory } from "#identity/ports";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { decoyClient } from "./decoy-client.ts";
import type { TokenRequest } from "./token-request.ts";

export interface AuthenticatedClient {
  readonly client: ClientRecord;
  readonly certificate: Certificate;
}

export type ClientAuthenticationRefusal =
  | CertificateRefusal
  | AssertionRefusal
  | ClientRefusal
  | { readonly reason: "certificate_missing" | "client_unknown" | "client_id_wrong" | "assertion_replayed" };

export interface ClientAuthenticationPorts {
  readonly clients: ClientDirectory;
  readonly assertions: AssertionVerifier;
  readonly memory: AssertionMemory;
}

/**
 * Certificate and assertion must both prove the same client: the token will be bound to the certificate, so whoever
 * holds a stolen assertion alone gets none. `seen` hears of a verified certificate even when the rest fails.
 */
export async function authenticateClient(
  request: TokenRequest,
  tlsClientAuth: unknown,
  at: Instant,
  ports: ClientAuthenticationPorts,
  seen: (certificate: Certificate) => void,
): Promise<Result<AuthenticatedClient, ClientAuthenticationRefusal>> {
  const certificate = await readCertificate(tlsClientAuth);
  if (!certificate.ok) return certificate;
  if (certificate.value === undefined) return err({ reason: "certificate_missing" });
  seen(certificate.value);

  const claimed = claimedClient(request);
  if (!claimed.ok) return claimed;
  const registered = await ports.clients.find(claimed.value.id);
  const client = registered ?? decoyClient(claimed.value.id, claimed.value.kid);
  const assertion = await ports.assertions.verify(request.assertion, client, at);
  if (registered === undefined) return err({ reason: "client_unknown" });
  if (!assertion.ok) return assertion;
  const admitted = admitClient(client, certificate.value, at);
  if (!admitted.ok) return admitted;
  // Last: an assertion that fails otherwise must not be used up by whoever caught it on the way.
  if (!(await ports.memory.first(client.id, assertion.value))) return err({ reason: "assertion_replayed" });
  return ok({ client, certificate: certificate.value });
}

/** Whose keys to try: the assertion's own, still unproven, word. */
function claimedClient({
  assertion,
  clientId,
}: TokenRequest): Result<{ readonly id: string; readonly kid: unknown }, ClientAuthenticationRefusal> {
  const jws = readCompactJws(assertion.reveal());
  if (!jws.ok) return jws;
  const sub: unknown = Reflect.get(jws.value.claims, "sub");
  if (typeof sub !== "string" || sub === "" || sub.length > 64) return err({ reason: "claim_malformed", claim: "sub" });
  return clientId === undefined || clientId === sub ? ok({ id: sub, kid: jws.value.header["kid"] }) : err({ reason: "client_id_wrong" });
}
