import { readObject } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import type { EndedCaseWrite } from "#gateway/cases/case-receiver";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { SentPlan } from "#gateway/change/plan/planned-write";
import { effectOf } from "./effects.ts";
import { isUnknown, type SentEnd } from "./send.ts";

interface Sent {
  readonly index: number;
  readonly plan: SentPlan;
  readonly origin: OriginSession;
  readonly end?: object | undefined;
}

/**
 * Sends writes between the two calls about their cases. No request reaches the origin without its case: if `control`
 * does not answer, nothing is sent. After a crash the case stays.
 */
export async function withCases(sending: readonly Sent[], send: () => Promise<void>): Promise<void> {
  const noted = sending.flatMap((change) => {
    const { plan, index, origin } = change;
    const { body } = plan.write;
    const caseIn = effectOf(plan.type)?.caseIn;
    const row = caseIn === undefined || body === undefined ? undefined : readObject(utf8(body));
    const note = row && caseIn?.(row, origin.base);
    return note === undefined ? [] : [{ change, write: { ...note, index, type: plan.type, id: plan.id } }];
  });
  const cases = noted[0]?.change.origin.cases;
  if (cases === undefined) return send();
  const { opening, request } = cases;
  const received = noted.map(({ write }) => write).filter(({ patient }) => patient !== undefined);
  if (received.length > 0) await opening.receive(request, received);
  await send();
  const ended: EndedCaseWrite[] = [];
  for (const { change, write } of noted) {
    const sent = change.end as SentEnd | undefined;
    const end = sent?.done ? "stored" : sent && !isUnknown(sent) ? "not stored" : "unknown";
    ended.push({ ...write, storedId: write.id ?? sent?.done?.id, end });
  }
  // The writes are done whatever happens here: a case without its end is listed as unconfirmed.
  await opening.settle(request, ended).catch(() => {});
}
