import type { AuditEvent } from "#audit/event";
import type { Counted, ProofSink, Recorded } from "#audit/ports";
import type { Binding } from "#identity/binding";
import type { ClientRecord } from "#identity/client";
import type { TokenIssuer } from "#identity/ports";
import { formatScopes } from "#identity/scopes";
import type { Instant } from "#kernel/clock";
import type { Secret } from "#kernel/secret";
import { formatReceipt } from "#ledger/receipt";
import type { Sender } from "#ledger/shard-choice";
import { authenticateClient, type ClientAuthenticationPorts } from "./authenticate-client.ts";
import { decide, type Decision } from "./decide.ts";
import { oauthErrors, type TokenRefusal } from "./oauth-error.ts";
import { readTokenRequest } from "./token-request.ts";

export interface TokenPorts extends ClientAuthenticationPorts {
  readonly issuer: TokenIssuer;
  readonly ledger: ProofSink;
  readonly ledgerSpread: number;
  readonly fhirBase: (origin: string) => string;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
}

/** A request at the token endpoint, read whole. */
export interface TokenArrival {
  readonly id: string;
  readonly at: Instant;
  readonly contentType: string | undefined;
  readonly body: Uint8Array;
  readonly tlsClientAuth: unknown;
  /** The value of the `DPoP` header. */
  readonly proof: Secret | undefined;
  readonly address: string;
}

/** Issues a token or says why not. Both are on record before the answer; when the record fails, this throws and no token leaves. */
export async function serveToken(arrival: TokenArrival, ports: TokenPorts): Promise<Response> {
  let who: Who = { certificate: undefined };
  const refuse = async (refusal: TokenRefusal) => {
    const { status, error, description } = oauthErrors[refusal.reason];
    const recorded = await ports.ledger.record(
      [eventOf(arrival, "refusal", who, { status, reason: refusal.reason })],
      senderOf(arrival, who, ports),
    );
    const challenge = status === 401 ? { "www-authenticate": 'Bearer realm="phylax"' } : {};
    const nonce = "nonce" in refusal ? { "dpop-nonce": refusal.nonce } : {};
    return answer(arrival, status, { error, error_description: description }, { ...receiptOf(recorded), ...challenge, ...nonce });
  };

  const request = readTokenRequest(arrival.contentType, arrival.body);
  if (!request.ok) return refuse(request.error);

  const { tlsClientAuth, proof: text, at } = arrival;
  const evidence = { credential: request.value.credential, tlsClientAuth, proof: text, at };
  const proven = await authenticateClient(evidence, ports, ({ x5t }) => (who = { certificate: x5t }));
  if (!proven.ok) return refuse(proven.error);
  const { client, binding, proof } = proven.value;
  who = { ...who, client, jkt: proof?.jkt };

  const decision = decide(client, request.value, at, ports.fhirBase);
  if (!decision.ok) return refuse(decision.error);

  const { audience, purposes, scopes } = decision.value;
  const tokenId = ports.newId();
  const token = await ports.issuer.issue({ client: client.id, audience, scopes, purposes, binding, id: tokenId, at });
  const event = { ...eventOf(arrival, "token", { ...who, tokenId }, { status: 200 }), ...grounds(decision.value) };
  const recorded = await (proof === undefined
    ? ports.ledger.record([event], senderOf(arrival, who, ports))
    : ports.ledger.recordOnce([event], proof));
  if (recorded === "replayed") return refuse({ reason: "proof_replayed" });
  const grant = {
    access_token: token.reveal(),
    token_type: tokenTypes[binding.kind],
    expires_in: ports.issuer.lifetimeSeconds,
    scope: formatScopes(scopes),
    purpose_of_use: purposes,
  };
  const nonce = proof === undefined ? {} : { "dpop-nonce": ports.proofs.nonce(proof.jkt, at) };
  return answer(arrival, 200, grant, { ...receiptOf(recorded), ...nonce });
}

/** RFC 6749 §7.1: how the token is to be presented. One bound to a certificate is still a Bearer token (RFC 8705 §3), one to a key is not. */
const tokenTypes: Readonly<Record<Binding["kind"], string>> = { certificate: "Bearer", key: "DPoP" };

interface Who {
  readonly client?: ClientRecord;
  readonly certificate: string | undefined;
  readonly jkt?: string | undefined;
  readonly tokenId?: string;
}

function eventOf(arrival: TokenArrival, kind: "token" | "refusal", who: Who, outcome: AuditEvent["outcome"]): AuditEvent {
  const { client, certificate, jkt, tokenId } = who;
  return {
    id: arrival.id,
    at: arrival.at,
    kind,
    who: { client: client?.id, certificate, jkt, tokenId },
    from: { address: arrival.address },
    what: { interaction: "token", method: "POST" },
    outcome,
    patients: [],
    unnamed: [],
    counts: {},
  };
}

/** What a token rests on. */
function grounds({ origin, purposes, agreements }: Decision): Pick<AuditEvent, "what" | "why"> {
  return { what: { interaction: "token", origin, method: "POST" }, why: { purposes, agreement: agreements.join(" ") } };
}

function senderOf({ id, address }: TokenArrival, { client, jkt }: Who, { ledgerSpread }: TokenPorts): Sender {
  if (jkt !== undefined) return { kind: "key", jkt };
  return client === undefined ? { kind: "address", address } : { kind: "client", client: client.id, requestId: id, spread: ledgerSpread };
}

function receiptOf(recorded: Recorded | Counted): Record<string, string> {
  return recorded === "counted" ? {} : { "phylax-receipt": formatReceipt(recorded) };
}

function answer({ id }: TokenArrival, status: number, body: unknown, headers: Record<string, string>): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store", // RFC 6749 §5.1
      "x-content-type-options": "nosniff",
      "x-request-id": id,
      ...headers,
    },
  });
}
