import type { RecordedOnly } from "#entrypoint/client-refusals";
import { receiptHeader } from "#entrypoint/request-records";
import { confirmation } from "#identity/binding";
import { formatScopes } from "#identity/scopes";
import { epochSeconds } from "#kernel/clock";
import { tokenTypes } from "./decide.ts";
import { answer, callerSender, eventOf, type IssuerArrival } from "./issuer-trail.ts";
import { purposesInForce, type OwnToken } from "./own-token.ts";
import { questionOfOwn, type QuestionPorts } from "./question-of-own.ts";

export type IntrospectionPorts = QuestionPorts;

/**
 * RFC 7662: says whether a token of the asking client is valid now, with revocations and agreements taken
 * into account. For every further token the answer is only "not active" (§2.2). The question is on record
 * before the answer.
 */
export async function serveIntrospection(
  arrival: IssuerArrival,
  ports: IntrospectionPorts,
): Promise<Response> {
  const question = await questionOfOwn(arrival, ports);
  if (!question.ok) return question.error;
  const { client, own, who } = question.value;
  const { at } = arrival;
  const purposes =
    own && purposesInForce(own, client, await ports.denials.of(client, ports.publicUrl), at, ports);
  const active = own !== undefined && purposes !== undefined && purposes.length > 0;
  const outcome = active
    ? { status: 200 }
    : { status: 200, reason: "token_not_active" satisfies RecordedOnly };
  const recorded = await ports.ledger.record(
    [eventOf(arrival, "introspection", who, outcome)],
    callerSender(arrival, who, ports),
  );
  return answer(
    arrival,
    200,
    active ? description(own, purposes) : { active: false },
    receiptHeader(recorded),
  );
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
