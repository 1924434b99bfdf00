import type { Instant } from "#kernel/clock";
import type { CaseNotice, ListedCase } from "#registry/case-document";
import { isOver } from "./case-days.ts";

/** What becomes of a case, in words. `now` is in ms since 1970. */
export function caseState(
  { decision, amendedAt, extendedAt, resource, due, disagreements, statedAt, informedBy }: ListedCase,
  now: Instant,
): string {
  const said = disagreements.some(({ at }) => at > (statedAt ?? 0)) ? ", statement received" : "";
  if (decision !== null) return `${decision}${said}`;
  const late = isOver(due, now) ? ", late" : "";
  const words = amendedAt === null ? (extendedAt === null ? "open" : "open, extended") : "open, amended";
  const notice = informedBy === null ? "" : ", notice of another entity";
  return `${words}${notice}${resource === null ? ", unconfirmed" : ""}${said}${late}`;
}

const placeText = (resource: string | null): string => resource ?? "(the server did not say where)";

/** Where the request of a case is stored. */
export const requestOfCase = ({ origin, resource }: ListedCase): string => `${origin}/${placeText(resource)}`;

/** Why a notice is due, and what became of it. */
export function noticeWords({ lastAt, purposes, endedAt, endedBy, letter, reason }: CaseNotice): string {
  const day = (at: number) => new Date(at).toISOString().slice(0, 10);
  const due =
    lastAt === null
      ? "named by the individual"
      : `got information until ${day(lastAt)} for ${(purposes ?? []).join(", ")}`;
  if (endedAt === null) return `${due}; open`;
  const end = letter === null ? `not needed: ${reason ?? ""}` : `sent, letter ${letter}`;
  return `${due}; ${end}, ${day(endedAt)} by ${endedBy ?? ""}`;
}

/** A step of a case, with its time in ms since 1970; undefined: the step is not done. */
export interface CaseStep {
  readonly at: number | undefined;
  readonly says: string;
}

/** The steps of a case in words, in their order. */
export function caseSteps(each: ListedCase): readonly CaseStep[] {
  const step = (at: number | null, says: string): readonly CaseStep[] => (at === null ? [] : [{ at, says }]);
  const { statement, statedAt } = each;
  return [
    ...step(
      each.receivedAt,
      `${each.informedBy === null ? "received from" : `notice of ${each.informedBy}, taken in by`} ${each.client}, request ${each.requestId}`,
    ),
    ...step(each.extendedAt, `extended by ${each.extendedBy ?? ""}, letter ${each.extensionLetter ?? ""}`),
    ...step(each.amendedAt, `amended by ${each.amendedBy ?? ""}, request ${each.amendedRequest ?? ""}`),
    ...step(
      each.decidedAt,
      `${each.decision ?? ""} by ${each.decidedBy ?? ""}` +
        (each.reasons === null ? "" : `: ${each.reasons.join(", ")}, letter ${each.denialLetter ?? ""}`),
    ),
    ...each.disagreements.flatMap(({ at, requestId, resource }) =>
      step(at, `statement of disagreement ${placeText(resource)}, request ${requestId}`),
    ),
    ...(statedAt === null && statement !== null
      ? [{ at: undefined, says: "a statement is unfinished" }]
      : []),
    ...step(
      statedAt,
      `${statement?.kind ?? ""} by ${each.statedBy ?? ""} follows ${statement?.rows.join(", ") ?? ""}`,
    ),
  ];
}
