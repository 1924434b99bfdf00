import type { AuditEvent, EventKind, What } from "#audit/event";
import { patientsMax, type Disclosure } from "#phi/disclosure";
import type { ConcernedBy } from "./write-plan.ts";

/** One of the requests in a batch or a transaction, as the record has it: an event of its own, whose `what` says which. */
export interface Part extends Pick<AuditEvent, "patients" | "unnamed" | "counts" | "withheld" | "outcome"> {
  readonly kind: EventKind;
  readonly what: What;
}

const nothing = { patients: [], unnamed: [], counts: {} } as const;

export const refusedPart = (what: What, status: number, reason: string): Part => ({
  kind: "refusal",
  what,
  outcome: { status, reason },
  ...nothing,
});

/** A write that is about to be sent, or was: with whom it is about. */
export function writePart(
  kind: "intent" | "write",
  what: What,
  { patients, unnamed }: ConcernedBy,
  { origin, outcome = {} }: { readonly origin: string; readonly outcome?: AuditEvent["outcome"] },
): Part {
  return {
    ...nothing,
    kind,
    what,
    outcome,
    patients: [...patients].map((patient) => ({ patient: `${origin}/Patient/${patient}`, counts: {} })),
    unnamed: unnamed && what.type !== undefined ? [what.id === undefined ? what.type : `${what.type}/${what.id}`] : [],
  };
}

// A record keeps as many (audit/check); the policy digest beside them names the view that they come from.
export const withheldPathsMax = 1_000;

/** What leaves in the answer to a part. */
export const disclosedParts = (what: What, status: number, { windows, withheldPaths }: Disclosure): readonly Part[] =>
  windows.map(({ patients, unnamed, counts, withheldResources }) => ({
    kind: "disclosure",
    what,
    outcome: { status },
    patients,
    unnamed,
    counts,
    withheld: { paths: withheldPaths.slice(0, withheldPathsMax), resources: withheldResources },
  }));

// Of one append: far below what a commit of the ledger holds (256 leaves, 1 MiB), whatever the parts say.
const partsMax = 40;

/** The parts in groups that one append each has room for. */
export function inAppends(parts: readonly Part[]): readonly (readonly Part[])[] {
  const groups: Part[][] = [];
  let patients = 0;
  for (const part of parts) {
    const last = groups.at(-1);
    patients += part.patients.length;
    if (last !== undefined && last.length < partsMax && patients <= patientsMax) last.push(part);
    else {
      groups.push([part]);
      patients = part.patients.length;
    }
  }
  return groups;
}
