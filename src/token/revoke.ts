import type { RecordedOnly } from "#entrypoint/client-refusals";
import { receiptHeader } from "#entrypoint/request-records";
import type { GuardedClient } from "#identity/ports";
import type { Instant } from "#kernel/clock";
import { answer, callerSender, eventOf, type IssuerArrival } from "./issuer-trail.ts";
import { questionOfOwn, type QuestionPorts } from "./question-of-own.ts";

/** Ends a token of the built-in issuer before its time. */
export interface TokenRevoker {
  /**
   * `id`: its `jti`. True: in force. False: the client ended too many tokens lately. Throws when the end was
   * not stored.
   */
  revoke(client: GuardedClient, id: string, expires: Instant): Promise<boolean>;
}

export interface RevocationPorts extends QuestionPorts {
  readonly revoker: TokenRevoker;
}

const retryAfterSeconds = "300"; // RFC 7009 §2.2.1; by then the ended tokens have expired

/**
 * RFC 7009: ends a token of the asking client. A token of a different client, or an expired token, gets the
 * same answer (§2.2), and nothing is done. The wish is on record before it is done, and the end is on record
 * when it is in force: after a crash in between the client asks again.
 */
export async function serveRevocation(arrival: IssuerArrival, ports: RevocationPorts): Promise<Response> {
  const question = await questionOfOwn(arrival, ports);
  if (!question.ok) return question.error;
  const { client, own, who } = question.value;
  const sender = callerSender(arrival, who, ports);
  if (own === undefined) {
    const recorded = await ports.ledger.record(
      [
        eventOf(arrival, "revocation", who, {
          status: 200,
          reason: "token_not_active" satisfies RecordedOnly,
        }),
      ],
      sender,
    );
    return answer(arrival, 200, undefined, receiptHeader(recorded));
  }
  const wanted = await ports.ledger.record([eventOf(arrival, "revocation", who, undefined)], sender);
  const done = await ports.revoker.revoke(client, own.token.id, own.token.expires);
  const outcome = done
    ? { status: 200 }
    : { status: 503, reason: "too_many_revocations" satisfies RecordedOnly };
  await ports.ledger.record([{ ...eventOf(arrival, "revocation", who, outcome), step: 1 }], sender);
  return answer(arrival, outcome.status, undefined, {
    ...receiptHeader(wanted),
    ...(!done && { "retry-after": retryAfterSeconds }),
  });
}
