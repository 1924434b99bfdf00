import { faceOf } from "#entrypoint/gateway-face";
import type { What } from "#audit/event";
import type { BatchEntry } from "#fhir/batch";
import type { Interaction } from "#fhir/interaction";
import type { Disclosure } from "#phi/disclosure";
import type { ClearingRefusal, ReleaseGate } from "#gateway/admission/release-gate";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { RelateRefusal } from "#gateway/origin/asking";
import type { NamingRefusal } from "#gateway/origin/named-patients";
import type { GatherRefusal } from "#gateway/read/gather";
import { decidedParts, disclosedParts, refusedPart, type Part } from "#gateway/record/parts";
import { onRecord } from "#gateway/record/on-record";
import { onRefusal } from "#gateway/record/refusal-decision";
import type { EntryReadRefusal } from "./batch-entry.ts";
import type { ChangeRefusal } from "./change-set.ts";
import type { SendRefusal } from "./send.ts";

/** A fault ended the request of a known caller, or the reading of an entry alone. */
interface FaultRefusal {
  readonly reason: "fault";
  readonly retryAfterSeconds: number;
}

/** Why an entry of a bundle is refused. */
export type EntryRefusal =
  | EntryReadRefusal
  | NamingRefusal
  | RelateRefusal
  | GatherRefusal
  | ChangeRefusal
  | SendRefusal
  | ClearingRefusal
  | FaultRefusal;

/** The answer to an entry. */
export interface EntryAnswer {
  readonly status: number;
  readonly refusal?: EntryRefusal | undefined;
  /** Address of the stored resource, below the gateway's base. */
  readonly location?: string | undefined;
  readonly etag?: string | undefined;
  /** Address of the shown resource, without a version. A searchset has none. */
  readonly fullUrl?: string | undefined;
  /** A redacted resource or searchset. */
  readonly disclosure?: Disclosure | undefined;
  /** The answer to a write that was done, with an OperationOutcome (`Prefer: return=OperationOutcome`). */
  readonly saysDone?: boolean;
  /** The answer to a HEAD: its disclosure goes on record, and no byte of it leaves. */
  readonly bodiless?: boolean;
}

/** The request of an entry, as its records name it. Undefined: the entry asks for no known interaction. */
export const whatOf = (
  { method, segments }: Pick<BatchEntry, "method" | "segments">,
  interaction: Interaction | undefined,
): What => ({ ...onRecord(interaction), method, path: segments.join("/") });

export const refusedEntry = (refusal: EntryRefusal): EntryAnswer => ({
  status: faceOf(refusal).status,
  refusal,
});

/** Limit for the disclosures of a bundle's answer: they stay in memory until all of them are on record. */
export const answerBytesMax = 8_388_608;

/** An entry of a bundle: its answer, and its events. */
export class EntryOutcome {
  readonly what: What;
  /**
   * It collects the patients of this entry's question and rows: each entry is on record as a request of its
   * own.
   */
  readonly origin: OriginSession;
  readonly parts: Part[] = [];
  answer: EntryAnswer | undefined;
  /** True for a planned write: it is answered by its status, even when nothing of it may be shown. */
  isWrite = false;
  /** True for an entry that shows nothing, when all entries together paid for the names of their rows. */
  readonly isSettled: boolean;

  constructor(what: What, origin: OriginSession, isSettled = false) {
    this.what = what;
    this.origin = origin;
    this.isSettled = isSettled;
  }

  /** The answer, with the address of the resource that it shows (FHIR R4, Bundle.entry.fullUrl). */
  get identified(): EntryAnswer {
    const answer = this.answer ?? refusedEntry({ reason: "origin_unreachable" });
    if (answer.disclosure === undefined || answer.bodiless === true) return answer;
    const { interaction, type, id } = this.what;
    const isById = interaction === "read" || interaction === "vread";
    const fullUrl = isById
      ? `${this.origin.base}/${type}/${id}`
      : answer.location?.replace(/\/_history\/[^/]*$/u, "");
    return { ...answer, fullUrl };
  }

  refuse(refusal: EntryRefusal): void {
    this.answer = refusedEntry(refusal);
    this.parts.length = 0; // an entry has a single refusal
    this.parts.push(refusedPart(this.what, this.answer.status, onRefusal(refusal), this.origin));
  }

  /** Shows nothing: a read is refused, and a write that was done keeps its status. */
  withhold(refusal: EntryRefusal): void {
    if (!this.isWrite) return this.refuse(refusal);
    const { disclosure: _hidden, etag: _tag, ...done } = this.answer ?? refusedEntry(refusal);
    this.answer = done;
  }
}

/**
 * Clears the disclosures of the entries. If an entry shows no row, the rows that decided its answer still go
 * on record, and their names are paid for. An entry without credits is refused, unless it is a write that
 * was done.
 */
export async function clearEntries(
  entries: readonly EntryOutcome[],
  gate: Pick<ReleaseGate, "clearEach" | "spendNames">,
): Promise<readonly EntryAnswer[]> {
  const showing = entries.flatMap((entry) => {
    const { answer, origin } = entry;
    if (answer?.disclosure === undefined) return [];
    return [
      { entry, status: answer.status, disclosure: answer.disclosure, concerned: origin.names.concerned },
    ];
  });
  const cleared = showing.length === 0 ? [] : await gate.clearEach(showing, answerBytesMax);
  for (const [index, { entry, status }] of showing.entries()) {
    const result = cleared[index];
    if (result?.ok === true)
      for (const part of disclosedParts(entry.what, status, result.value, entry.origin))
        entry.parts.push(part);
    else entry.withhold(result?.error ?? { reason: "answer_too_large" });
  }
  for (const entry of entries) if (!entry.isSettled) await payNames(entry, gate);
  return entries.map(({ identified }) => identified);
}

async function payNames(entry: EntryOutcome, gate: Pick<ReleaseGate, "spendNames">): Promise<void> {
  const { answer, origin, what } = entry;
  if (answer === undefined || answer.disclosure !== undefined) return;
  const paid = await gate.spendNames(origin.names.concerned);
  if (paid.ok || entry.isWrite)
    for (const part of decidedParts(what, answer.status, origin)) entry.parts.push(part);
  else if (answer.refusal?.reason !== paid.error.reason) entry.refuse(paid.error);
}
