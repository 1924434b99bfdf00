import type { AuditEvent } from "#audit/event";
import { proofAtHome, receiptHeader, RequestRecords } from "#entrypoint/request-records";
import type { TokenIssuer } from "#identity/ports";
import { formatScopes } from "#identity/scopes";
import type { Secret } from "#kernel/secret";
import { authenticateClient, type ClientAuthenticationPorts } from "./authenticate-client.ts";
import { decide, tokenTypes, type Decision, type FhirBases } from "./decide.ts";
import {
  answer,
  callerSender,
  eventOf,
  refuseCaller,
  type IssuerArrival,
  type IssuerTrailPorts,
  type KnownCaller,
} from "./issuer-trail.ts";
import type { TokenRefusal } from "./oauth-error.ts";
import { readTokenRequest } from "./token-request.ts";

export interface TokenPorts extends ClientAuthenticationPorts, IssuerTrailPorts, FhirBases {
  readonly issuer: TokenIssuer;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
}

export interface TokenArrival extends IssuerArrival {
  /** The value of the `DPoP` header. */
  readonly proof: Secret | undefined;
}

/**
 * Issues a token or says why not. Both are on record before the answer; when the record fails, this throws
 * and no token leaves.
 */
export async function serveToken(arrival: TokenArrival, ports: TokenPorts): Promise<Response> {
  let who: KnownCaller = { certificate: undefined };
  const no = (refusal: TokenRefusal) => refuseCaller(arrival, refusal, who, ports);

  const request = readTokenRequest(arrival);
  if (!request.ok) return no(request.error);

  const { tlsClientAuth, proof: text, at } = arrival;
  const evidence = { credential: request.value.credential, tlsClientAuth, proof: text, at };
  const proven = await authenticateClient(evidence, ports, ({ x5t }) => (who = { certificate: x5t }));
  if (!proven.ok) return no(proven.error);
  const { client, binding, proof } = proven.value;
  who = { ...who, client, jkt: proof?.jkt };

  const decision = decide(client, request.value, at, ports);
  if (!decision.ok) return no(decision.error);

  const { audience, purposes, scopes } = decision.value;
  const tokenId = ports.newId();
  const token = await ports.issuer.issue({
    client: client.id,
    audience,
    scopes,
    purposes,
    binding,
    id: tokenId,
    at,
  });
  const event = {
    ...eventOf(arrival, "token", { ...who, tokenId }, { status: 200 }),
    ...grounds(decision.value),
  };
  const records = new RequestRecords(ports.ledger);
  const sender = callerSender(arrival, who, ports);
  const recorded = await records.first([event], sender, proofAtHome(proof, client));
  if (recorded === "replayed") return no({ reason: "proof_replayed" });
  const grant = {
    access_token: token.reveal(),
    token_type: tokenTypes[binding.kind],
    expires_in: ports.issuer.lifetimeSeconds,
    scope: formatScopes(scopes),
    purpose_of_use: purposes,
  };
  const nonce = proof === undefined ? {} : { "dpop-nonce": ports.proofs.nonce(proof.jkt, at) };
  return answer(arrival, 200, grant, { ...receiptHeader(recorded), ...nonce });
}

/** The facts on which a token rests. */
function grounds({ origin, purposes, agreements }: Decision): Pick<AuditEvent, "what" | "why"> {
  return {
    what: { interaction: "token", origin, method: "POST" },
    why: { purposes, agreement: agreements.join(" ") },
  };
}
