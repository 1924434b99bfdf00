import { confirmation } from "#identity/binding";
import { formatScopes } from "#identity/scopes";
import { epochSeconds } from "#kernel/clock";
import { authenticateAsker, type ClientAuthenticationPorts } from "./authenticate-client.ts";
import { tokenTypes } from "./decide.ts";
import { answer, eventOf, receiptOf, refuse, senderOf, type IssuerArrival, type IssuerTrailPorts, type Who } from "./issuer-trail.ts";
import { purposesInForce, readOwnToken, type OwnToken, type OwnTokenPorts } from "./own-token.ts";
import { readTokenQuestion } from "./token-request.ts";

export type IntrospectionPorts = ClientAuthenticationPorts & OwnTokenPorts & IssuerTrailPorts;

/**
 * RFC 7662: whether a token of the asking client's own is good at this moment, revocations and agreements counted in. Of all else it is
 * only said that it is not active (§2.2). On record before the answer.
 */
export async function serveIntrospection(arrival: IssuerArrival, ports: IntrospectionPorts): Promise<Response> {
  let who: Who = { certificate: undefined };
  const question = readTokenQuestion(arrival.contentType, arrival.body);
  if (!question.ok) return refuse(arrival, question.error, who, ports);
  const { tlsClientAuth, at } = arrival;
  const evidence = { credential: question.value.credential, tlsClientAuth, at };
  const proven = await authenticateAsker(evidence, ports, ({ x5t }) => (who = { certificate: x5t }));
  if (!proven.ok) return refuse(arrival, proven.error, who, ports);
  const { client } = proven.value;

  const own = await readOwnToken(question.value.token, client, at, ports);
  const purposes = own && purposesInForce(own, client, await ports.denials.of(client.id, ports.publicUrl), at, ports);
  const active = own !== undefined && purposes !== undefined && purposes.length > 0;
  who = { ...who, client, tokenId: own?.token.id };
  const outcome = active ? { status: 200 } : { status: 200, reason: "token_not_active" };
  const recorded = await ports.ledger.record([eventOf(arrival, "introspection", who, outcome)], senderOf(arrival, who, ports));
  return answer(arrival, 200, active ? description(own, purposes) : { active: false }, receiptOf(recorded));
}

function description({ token, binding, audience }: OwnToken, purposes: readonly string[]) {
  return {
    active: true,
    iss: token.issuer,
    sub: token.subject,
    client_id: token.client,
    aud: audience,
    jti: token.id,
    exp: epochSeconds(token.expires),
    scope: formatScopes(token.scopes),
    purpose_of_use: purposes,
    token_type: tokenTypes[binding.kind],
    cnf: confirmation(binding), // RFC 8705 §3.2
  };
}
