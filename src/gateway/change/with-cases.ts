import { readObject } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import type { CaseWrite, EndedCaseWrite } from "#gateway/cases/case-receiver";
import { basesOf, type OriginSession } from "#gateway/origin/origin-session";
import type { SentPlan } from "#gateway/change/plan/planned-write";
import { effectOf } from "./effects.ts";
import { isUnknown, type SentEnd } from "./send.ts";

/** The case of a request for an amendment is not opened, so the request is not sent. */
export type CaseRefusal = { readonly reason: "case_not_opened" | "too_many_cases" };

interface Sent<E extends object> {
  readonly index: number;
  readonly plan: SentPlan;
  readonly origin: OriginSession;
  end?: E | undefined;
}

/** How writes are sent between the two calls about their cases. */
interface SendingWithCases<E extends object, R> {
  /** The client's Provenance may record an amendment. */
  readonly isRegistrar: boolean;
  /** The end of a request of which the case cannot be opened. Undefined: the writes are a whole, and none is sent. */
  readonly refusedAlone: ((refusal: CaseRefusal) => E) | undefined;
  /** Asked once more: the calls take time, and a client who is denied meanwhile writes no more. */
  readonly stillGood: () => Promise<Result<unknown, R>>;
  readonly send: () => Promise<void>;
}

/**
 * Sends writes between the two calls about their cases. No request reaches the origin without its case: if `control`
 * does not answer, the requests are refused, and the further entries of a batch are sent. After a crash the case stays.
 */
export async function withCases<E extends object, R>(
  sending: readonly Sent<E>[],
  { isRegistrar, refusedAlone, stillGood, send }: SendingWithCases<E, R>,
): Promise<Result<undefined, R | CaseRefusal>> {
  const noted: { readonly change: Sent<E>; readonly write: CaseWrite }[] = [];
  for (const change of sending) {
    const { plan, index, origin } = change;
    const { body } = plan.write;
    const caseIn = effectOf(plan.type)?.caseIn;
    const row = caseIn === undefined || body === undefined ? undefined : readObject(utf8(body));
    const note = row && caseIn?.(row, await basesOf(origin));
    if (note !== undefined && (isRegistrar || note.patient !== undefined))
      noted.push({ change, write: { ...note, index, type: plan.type, id: plan.id } });
  }
  const cases = noted[0]?.change.origin.cases;
  if (cases === undefined) {
    await send();
    return ok(undefined);
  }
  const { opening, request } = cases;
  const requests = noted.filter(({ write }) => write.patient !== undefined);
  // The writes end as they do whatever happens here: a case without its end is listed as unconfirmed.
  const settle = async (some: typeof noted, isSent: boolean) => {
    const ended: EndedCaseWrite[] = [];
    for (const { change, write } of some) {
      const sent = change.end as SentEnd | undefined;
      const end = sent?.done ? "stored" : isSent && !(sent && !isUnknown(sent)) ? "unknown" : "not stored";
      ended.push({ ...write, storedId: write.id ?? sent?.done?.id, end });
    }
    await opening.settle(request, ended).catch(() => {});
  };
  if (requests.length > 0) {
    const reason = await opening
      .open(
        request,
        requests.map(({ write }) => write),
      )
      .then(
        (end) => (end === "too_many" ? "too_many_cases" : undefined),
        () => "case_not_opened" as const,
      );
    if (reason !== undefined && refusedAlone === undefined) {
      await settle(requests, false); // they may be open, and the answer lost
      return err({ reason });
    }
    if (reason !== undefined) for (const { change } of requests) change.end = refusedAlone?.({ reason });
    const still = await stillGood();
    if (!still.ok) {
      await settle(requests, false);
      return still;
    }
  }
  await send();
  await settle(noted, true);
  return ok(undefined);
}
