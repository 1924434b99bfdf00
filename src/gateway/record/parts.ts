import type { AuditEvent, EventKind, What } from "#audit/event";
import type { RecordedOnly } from "#entrypoint/client-refusals";
import type { Result } from "#kernel/result";
import { patientsMax, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";
import type { RecordedRefusal } from "./refusal-decision.ts";

/**
 * The patients of an event, the counts of their resources, and the room for further patients in its record.
 */
export type Named = Pick<AuditEvent, "patients" | "unnamed" | "counts" | "reserve">;

/**
 * An entry of a batch or a transaction, as the record has it: an event of its own, whose `what` says the
 * entry.
 */
export interface Part extends Named, Pick<AuditEvent, "withheld" | "outcome" | "asked" | "decision"> {
  readonly kind: EventKind;
  readonly what: What;
}

/** A further request used this proof before. */
export type ProofReplayed = { readonly reason: "proof_replayed" };

export type Intended = Result<undefined, ProofReplayed>;

/** No patient is named; a row decides the reason at most. */
export const nobody: Named = {
  patients: [],
  unnamed: [],
  counts: {},
  reserve: { names: 0, unseen: [], counts: {}, unnamed: [] },
};

/**
 * The patients of a refusal: the question names them, and the caller may access them. Patients of rows that
 * decided it are in a disclosure of their own.
 */
export const refusalNames = (origin: OriginSession | undefined): Named => ({
  ...nobody,
  patients: (origin?.names.concerned.named ?? []).map((patient) => ({ patient, counts: {} })),
});

/**
 * The patients of a write, before it is sent and after: at most {@link patientsMax} for an event, so that each
 * event fits an append. Only the deletion of a row that no client may read names more.
 */
function writeNames(
  { patients, unseen, room, unnamed }: ConcernedBy,
  origin: string,
  { type, id }: What,
): readonly [Named, ...Named[]] {
  const nameOf = (patient: string) => `${origin}/Patient/${patient}`;
  const reference = type === undefined ? [] : [id === undefined ? type : `${type}/${id}`];
  const all = [...patients];
  const named = (from: number): Named => {
    const some = all.slice(from, from + patientsMax);
    return {
      patients: some.map((patient) => ({ patient: nameOf(patient), counts: {} })),
      unnamed: unnamed ? reference : [],
      counts: {},
      reserve: {
        names: room,
        unseen: some.filter((patient) => unseen.has(patient)).map(nameOf),
        counts: {},
        unnamed: room > 0 ? reference : [],
      },
    };
  };
  const further = Math.max(0, Math.ceil(all.length / patientsMax) - 1);
  return [named(0), ...Array.from({ length: further }, (_, n) => named((n + 1) * patientsMax))];
}

// A record names as many (audit/check); its policy digest names the view from which they come.
const withheldPathsMax = 1_000;

/** The paths that a record names. A list that fits is returned itself: the ledger then knows its digest. */
export const firstPaths = (paths: readonly string[]): readonly string[] =>
  paths.length <= withheldPathsMax ? paths : paths.slice(0, withheldPathsMax);

/** The disclosed content of a window, and its patients. */
export function windowNames(
  { patients, unnamed, counts, withheldResources, unseen, room }: DisclosedWindow,
  withheldPaths: readonly string[],
): Named & Pick<AuditEvent, "withheld"> {
  const withheld = { paths: firstPaths(withheldPaths), resources: withheldResources };
  const reserve = { names: room.names, unseen, counts: room.counts, unnamed: room.unnamed };
  return { patients, unnamed, counts, withheld, reserve };
}

/** An event of an entry. */
const partOf = (
  kind: EventKind,
  what: What,
  outcome: Part["outcome"],
  { names }: OriginSession,
  more: Named & Pick<Part, "withheld" | "decision">,
): Part => ({ kind, what, outcome, asked: names.asked, ...more });

export const refusedPart = (
  what: What,
  status: number,
  { reason, decision }: RecordedRefusal,
  origin: OriginSession,
): Part => partOf("refusal", what, { status, reason }, origin, { decision, ...refusalNames(origin) });

/** A write that is about to be sent, or was sent, with its patients. */
export const writeParts = (
  kind: "intent" | "write",
  what: What,
  concerned: ConcernedBy,
  { origin, outcome = {} }: { readonly origin: OriginSession; readonly outcome?: AuditEvent["outcome"] },
): readonly Part[] =>
  writeNames(concerned, origin.name, what).map((named) => partOf(kind, what, outcome, origin, named));

/** A write that was done before this request, under its key: nothing was sent. */
export const repeatedPart = (
  what: What,
  status: number,
  origin: OriginSession,
  reason: string = "write_repeated" satisfies RecordedOnly,
): Part => partOf("notice", what, { status, reason }, origin, nobody);

/** The disclosures in the answer to a part. */
export const disclosedParts = (
  what: What,
  status: number,
  { windows, withheldPaths }: Disclosure,
  origin: OriginSession,
): readonly Part[] =>
  windows.map((window) => partOf("disclosure", what, { status }, origin, windowNames(window, withheldPaths)));

/** The rows that decided the answer to a part, when the answer shows no row. */
export function decidedParts(what: What, status: number, origin: OriginSession): readonly Part[] {
  const windows = origin.names.concerned.alone();
  return windows.map((window) => partOf("disclosure", what, { status }, origin, windowNames(window, [])));
}
