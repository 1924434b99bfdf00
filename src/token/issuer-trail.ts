import { baseFields } from "#entrypoint/base-headers";
import { aboutNobody, type AuditEvent, type EventKind } from "#audit/event";
import type { ProofSink } from "#audit/ports";
import { receiptHeader, senderOf } from "#entrypoint/request-records";
import type { ClientRecord } from "#identity/client";
import type { Instant } from "#kernel/clock";
import type { Sender } from "#ledger/shard-choice";
import { oauthErrors, type TokenRefusal } from "./oauth-error.ts";
import type { TokenMessage } from "./token-request.ts";

/** A request at an endpoint of the issuer, read whole. */
export interface IssuerArrival extends TokenMessage {
  readonly id: string;
  readonly at: Instant;
  readonly interaction: "token" | "introspect" | "revoke";
  /** `cf.tlsClientAuth` as the edge gave it. */
  readonly tlsClientAuth: unknown;
  readonly address: string;
  /** `cf.continent`. */
  readonly continent?: string | undefined;
}

export interface IssuerTrailPorts {
  readonly ledger: ProofSink;
  readonly ledgerSpread: number;
}

/** The known facts about a caller. */
export interface KnownCaller {
  readonly client?: ClientRecord;
  readonly certificate: string | undefined;
  readonly jkt?: string | undefined;
  readonly tokenId?: string | undefined;
}

/** The event of a request at the issuer. */
export function eventOf(
  arrival: IssuerArrival,
  kind: EventKind,
  who: KnownCaller,
  outcome: AuditEvent["outcome"],
): AuditEvent {
  const { client, certificate, jkt, tokenId } = who;
  return {
    id: arrival.id,
    at: arrival.at,
    kind,
    who: { client: client?.id, certificate, jkt, tokenId },
    from: { address: arrival.address },
    what: { interaction: arrival.interaction, method: "POST" },
    outcome,
    ...aboutNobody,
  };
}

export const callerSender = (
  arrival: IssuerArrival,
  { client, jkt }: KnownCaller,
  { ledgerSpread }: IssuerTrailPorts,
): Sender => senderOf(arrival, client, jkt, ledgerSpread);

/** The record comes first: when it fails, this throws and nothing is answered. */
export async function refuseCaller(
  arrival: IssuerArrival,
  refusal: TokenRefusal,
  who: KnownCaller,
  ports: IssuerTrailPorts,
): Promise<Response> {
  const { status, error, description } = oauthErrors[refusal.reason];
  const event = eventOf(arrival, "refusal", who, { status, reason: refusal.reason });
  const recorded = await ports.ledger.record([event], callerSender(arrival, who, ports));
  // RFC 9110 §15.5.2 demands a challenge. oauth4webapi and openid-client show it in place of the body.
  const challenge =
    status === 401
      ? { "www-authenticate": `Bearer realm="phylax", error="${error}", error_description="${description}"` }
      : {};
  const nonce = "nonce" in refusal ? { "dpop-nonce": refusal.nonce } : {};
  return answer(
    arrival,
    status,
    { error, error_description: description },
    { ...receiptHeader(recorded), ...challenge, ...nonce },
  );
}

/** JSON, or no body where the RFC has none. */
export function answer(
  { id }: IssuerArrival,
  status: number,
  body: unknown,
  headers: Record<string, string>,
): Response {
  return new Response(body === undefined ? null : JSON.stringify(body), {
    status,
    headers: {
      ...(body !== undefined && { "content-type": "application/json" }),
      ...baseFields(id), // with no-store
      pragma: "no-cache", // RFC 6749 §5.1
      ...headers,
    },
  });
}
