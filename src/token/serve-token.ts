import type { AuditEvent } from "#audit/event";
import type { AuditSink } from "#audit/ports";
import type { ClientRecord } from "#identity/client";
import type { TokenIssuer } from "#identity/ports";
import { formatScopes } from "#identity/scopes";
import type { Instant } from "#kernel/clock";
import { formatReceipt } from "#ledger/receipt";
import { authenticateClient, type ClientAuthenticationPorts } from "./authenticate-client.ts";
import { decide, type Decision } from "./decide.ts";
import { oauthErrors, type TokenRefusal } from "./oauth-error.ts";
import { readTokenRequest } from "./token-request.ts";

export interface TokenPorts extends ClientAuthenticationPorts {
  readonly issuer: TokenIssuer;
  readonly ledger: AuditSink;
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
  readonly address: string;
}

/** Issues a token or says why not. Both are on record before the answer; when the record fails, this throws and no token leaves. */
export async function serveToken(arrival: TokenArrival, ports: TokenPorts): Promise<Response> {
  let certificate: string | undefined;
  let client: ClientRecord | undefined;
  const refuse = async (refusal: TokenRefusal) => {
    const { status, error, description } = oauthErrors[refusal.reason];
    const receipt = await record(arrival, ports, { kind: "refusal", client, certificate, status, reason: refusal.reason });
    const challenge = status === 401 ? { "www-authenticate": 'Bearer realm="phylax"' } : {};
    return answer(arrival, status, { error, error_description: description }, { ...receipt, ...challenge });
  };

  const request = readTokenRequest(arrival.contentType, arrival.body);
  if (!request.ok) return refuse(request.error);

  const proven = await authenticateClient(
    request.value.credential,
    arrival.tlsClientAuth,
    arrival.at,
    ports,
    ({ x5t }) => (certificate = x5t),
  );
  if (!proven.ok) return refuse(proven.error);
  client = proven.value.client;

  const decision = decide(client, request.value, arrival.at, ports.fhirBase);
  if (!decision.ok) return refuse(decision.error);

  const { audience, purposes, scopes } = decision.value;
  const tokenId = ports.newId();
  const token = await ports.issuer.issue({
    client: client.id,
    audience,
    scopes,
    purposes,
    x5t: proven.value.certificate.x5t,
    id: tokenId,
    at: arrival.at,
  });
  const receipt = await record(arrival, ports, { kind: "token", client, certificate, status: 200, decision: decision.value, tokenId });
  const grant = {
    access_token: token.reveal(),
    token_type: "Bearer",
    expires_in: ports.issuer.lifetimeSeconds,
    scope: formatScopes(scopes),
    purpose_of_use: purposes,
  };
  return answer(arrival, 200, grant, receipt);
}

interface Happening {
  readonly kind: "token" | "refusal";
  readonly client: ClientRecord | undefined;
  readonly certificate: string | undefined;
  readonly status: number;
  readonly reason?: string;
  readonly decision?: Decision;
  readonly tokenId?: string;
}

async function record(arrival: TokenArrival, ports: TokenPorts, happening: Happening): Promise<Record<string, string>> {
  const { kind, client, certificate, status, reason, decision, tokenId } = happening;
  const event: AuditEvent = {
    id: arrival.id,
    at: arrival.at,
    kind,
    who: { client: client?.id, certificate, tokenId },
    from: { address: arrival.address },
    what: { interaction: "token", origin: decision?.origin, method: "POST" },
    why: decision && { purposes: decision.purposes, agreement: decision.agreements.join(" ") },
    outcome: { status, reason },
    patients: [],
    unnamed: [],
    counts: {},
  };
  const sender =
    client === undefined
      ? ({ kind: "address", address: arrival.address } as const)
      : ({ kind: "client", client: client.id, requestId: arrival.id, spread: ports.ledgerSpread } as const);
  const recorded = await ports.ledger.record([event], sender);
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
