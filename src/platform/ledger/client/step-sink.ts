import type { AuditSink } from "#audit/ports";
import type { Clock } from "#kernel/clock";
import type { LedgerLayout } from "#ledger/layout";
import { chooseLog } from "#ledger/shard-choice";
import { eventsText, readEventsText } from "#platform/ledger/append-text";
import type { AppendTo } from "./sink.ts";

/** A step of a job as it was first sent. */
export interface BegunStep {
  /** Its events (`eventsText`): times, trace and random digests of a second attempt would differ. */
  readonly text: string;
  /** The log that may have it on record. */
  readonly log: string;
}

/** The steps that a job has begun, durable before anything is sent. */
export interface StepStore {
  /** The step of this name as it was begun before; otherwise stores this one. */
  beginStep(name: string, step: BegunStep): Promise<BegunStep>;
  /** The step goes to a different log from now on: its log has closed without it. */
  moveStep(name: string, log: string): Promise<void>;
}

/**
 * The ledger for a job under a stored authority, which repeats a step after a crash of any length. A repeat sends the
 * bytes of the first attempt to the log of the first attempt, whatever the half-year, the layout or the home region is
 * now. Only a log that has closed without the step lets the log of today take it.
 */
export const stepSink = (
  appendTo: AppendTo,
  layout: LedgerLayout,
  clock: Clock,
  steps: StepStore,
): AuditSink => ({
  async record(events, sender) {
    const [first] = events;
    if (sender.kind !== "authority" || first?.authority !== sender.authority)
      throw new TypeError("ledger: not a step of this authority");
    const today = () => chooseLog(sender, layout, clock());
    const name = `${first.id}.${first.step ?? 0}`;
    const begun = await steps.beginStep(name, { text: eventsText(events), log: today() });
    const asBegun = readEventsText(begun.text);
    let answer = await appendTo(begun.log, asBegun);
    const log = today();
    if (answer === "refused" && log !== begun.log) {
      await steps.moveStep(name, log);
      answer = await appendTo(log, asBegun);
    }
    if (answer === "refused" || answer === "replayed") throw new Error(`ledger: a step was ${answer}`);
    return answer;
  },
});
