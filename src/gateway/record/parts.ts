import type { AuditEvent, EventKind, What } from "#audit/event";
import { patientsMax, type DisclosedWindow, type Disclosure } from "#phi/disclosure";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { ConcernedBy } from "#gateway/origin/concerned-by-write";

/** Whom an event names, what of them, and for whom its record has room. */
export type Named = Pick<AuditEvent, "patients" | "unnamed" | "counts" | "reserve">;

/** One of the requests in a batch or a transaction, as the record has it: an event of its own, whose `what` says which. */
export interface Part extends Named, Pick<AuditEvent, "withheld" | "outcome" | "asked"> {
  readonly kind: EventKind;
  readonly what: What;
}

/** Of nobody; a row decides the reason at most. */
export const nobody: Named = {
  patients: [],
  unnamed: [],
  counts: {},
  reserve: { names: 0, unseen: [], counts: {}, unnamed: [] },
};

/** Whom a refusal names: whom the question names within reach. Those of whom a row decided it are in a disclosure beside it. */
export const refusalNames = (origin: OriginSession | undefined): Named => ({
  ...nobody,
  patients: (origin?.concerned.named ?? []).map((patient) => ({ patient, counts: {} })),
});

/** Whom a write is about, before it is sent and after. */
export function writeNames(
  { patients, unseen, room, unnamed }: ConcernedBy,
  origin: string,
  { type, id }: What,
): Named {
  const nameOf = (patient: string) => `${origin}/Patient/${patient}`;
  const reference = type === undefined ? [] : [id === undefined ? type : `${type}/${id}`];
  return {
    patients: [...patients].map((patient) => ({ patient: nameOf(patient), counts: {} })),
    unnamed: unnamed ? reference : [],
    counts: {},
    reserve: { names: room, unseen: [...unseen].map(nameOf), counts: {}, unnamed: room > 0 ? reference : [] },
  };
}

// A record keeps as many (audit/check); the policy digest beside them names the view that they come from.
export const withheldPathsMax = 1_000;

/** What leaves in a window, and whom it concerns. */
export function windowNames(
  { patients, unnamed, counts, withheldResources, unseen, room }: DisclosedWindow,
  withheldPaths: readonly string[],
): Named & Pick<AuditEvent, "withheld"> {
  const withheld = { paths: withheldPaths.slice(0, withheldPathsMax), resources: withheldResources };
  const reserve = { names: room.names, unseen, counts: room.counts, unnamed: room.unnamed };
  return { patients, unnamed, counts, withheld, reserve };
}

export const refusedPart = (what: What, status: number, reason: string, origin: OriginSession): Part => ({
  kind: "refusal",
  what,
  outcome: { status, reason },
  asked: origin.asked,
  ...refusalNames(origin),
});

/** A write that is about to be sent, or was: with whom it is about. */
export const writePart = (
  kind: "intent" | "write",
  what: What,
  concerned: ConcernedBy,
  { origin, outcome = {} }: { readonly origin: OriginSession; readonly outcome?: AuditEvent["outcome"] },
): Part => ({ kind, what, outcome, asked: origin.asked, ...writeNames(concerned, origin.name, what) });

/** What leaves in the answer to a part. */
export const disclosedParts = (
  what: What,
  status: number,
  { windows, withheldPaths }: Disclosure,
  origin: OriginSession,
): readonly Part[] =>
  windows.map((window) => ({
    kind: "disclosure",
    what,
    outcome: { status },
    asked: origin.asked,
    ...windowNames(window, withheldPaths),
  }));

/** That rows are as the answer to a part says, which shows none of them. */
export function decidedParts(what: What, status: number, origin: OriginSession): readonly Part[] {
  const window = origin.concerned.alone();
  if (window === undefined) return [];
  return [{ kind: "disclosure", what, outcome: { status }, asked: origin.asked, ...windowNames(window, []) }];
}

// Of one append: far below what a commit of the ledger holds (256 leaves, 1 MiB), whatever the parts say.
const partsMax = 40;

/** The parts in groups that one append each has room for. */
export function inAppends(parts: readonly Part[]): readonly (readonly Part[])[] {
  const groups: Part[][] = [];
  let patients = 0;
  for (const part of parts) {
    const last = groups.at(-1);
    const names = part.patients.length + (part.reserve?.names ?? 0);
    patients += names;
    if (last !== undefined && last.length < partsMax && patients <= patientsMax) last.push(part);
    else {
      groups.push([part]);
      patients = names;
    }
  }
  return groups;
}
