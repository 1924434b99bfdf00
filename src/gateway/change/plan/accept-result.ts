import type { JsonObject } from "#fhir/json/json";
import type { ResourceType } from "#fhir/r4/elements";
import { err, ok, type Result } from "#kernel/result";
import type { Bases } from "#phi/origin-urls";
import { isReadable } from "#phi/readable";
import { patientsReached } from "#policy/row-access";
import type { Permission } from "#gateway/admission/authorize";
import { namedInBody } from "#gateway/origin/concerned-by-write";
import { isReadByAll } from "./row-readers.ts";

/** Why the result of a write is refused before anything is sent, whatever it says. */
export type ResultRefusal =
  /** The result could not be read again: it is too large, too deep, about too many patients or too costly. */
  | { readonly reason: "result_exceeds_limits" }
  /** The write newly names more patients beyond the access of its author than the policy permits. */
  | { readonly reason: "names_beyond_access" };

/** A resource as a write would leave it. */
export interface WriteResult {
  readonly type: ResourceType;
  readonly result: JsonObject;
  readonly text: string;
  /** The resource as its author sends it, without the part that its author does not see. */
  readonly sent: JsonObject;
  /** The stored row, and the part of it that its author sees. A create has none. */
  readonly before?: { readonly stored: JsonObject; readonly shown: JsonObject } | undefined;
  /** Bytes that count for the hidden part of the row (phi/readable). */
  readonly room?: number;
}

/** The patients beyond the access of its author whom an accepted write newly names. */
export type NewNames = ReadonlySet<string>;

/**
 * Accepts the result of a write if every reader can read it, and if it newly names few patients beyond the access of
 * its author. All engines of writes ask here, before anything is sent.
 */
export function acceptResult(
  { type, result, text, sent, before, room }: WriteResult,
  { policy, access }: Pick<Permission, "policy" | "access">,
  bases: Bases,
): Result<NewNames, ResultRefusal> {
  const { stored, shown } = before ?? {};
  const reached = patientsReached(access, type);
  const isBeyond = (patient: string) => reached?.has(patient) === false;
  const names = reached === undefined ? none : [...namedInBody(sent, bases)].filter(isBeyond);
  // Only names that the author sees: a hidden name is neither new nor counted.
  const known = names.length === 0 || shown === undefined ? noNames : namedInBody(shown, bases);
  const added = new Set(names.filter((patient) => !known.has(patient)));
  // All names count once a write adds any: otherwise many writes would add what one may not.
  if (added.size > 0 && names.length > policy.namesBeyondAccess)
    return err({ reason: "names_beyond_access" });
  const isReadBefore = () => isReadByAll(type, stored ?? {}, JSON.stringify(stored ?? {}), bases.origin);
  const isRead =
    isReadable(result, text, stored, bases, room) &&
    // as with a bound: a row that is beyond it already may be changed
    (isReadByAll(type, result, text, bases.origin) || (stored !== undefined && !isReadBefore()));
  return isRead ? ok(added) : err({ reason: "result_exceeds_limits" });
}

const none: readonly string[] = [];
const noNames: ReadonlySet<string> = new Set();
