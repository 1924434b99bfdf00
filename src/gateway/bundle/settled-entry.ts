import { repeatedPart, writeParts } from "#gateway/record/parts";
import type { StoredEnd } from "#gateway/write/once";
import type { SettledWrite } from "#gateway/write/write-attempt";
import type { DoneWrite } from "#gateway/write/write-send";
import type { EntryOutcome } from "./entry-outcome.ts";

/** The address of a written resource. Undefined: the resource is deleted. */
export const locationIn = (base: string, { status, type, id, version }: StoredEnd): string | undefined =>
  status === 204 || id === undefined
    ? undefined
    : `${base}/${type}/${id}${version === undefined ? "" : `/_history/${version}`}`;

/**
 * Answers an entry whose write was done before this request, and puts it on record: as a repeat, or as the end
 * of a write with an unknown outcome.
 */
export function answerSettled(
  outcome: EntryOutcome,
  { end, concerned }: SettledWrite,
  isRepeat: boolean,
): DoneWrite {
  const { origin, parts } = outcome;
  const { status, type, id } = end;
  const what = { ...outcome.what, type, ...(id !== undefined && { id }) };
  if (isRepeat) parts.push(repeatedPart(what, status, origin));
  else
    for (const part of writeParts("write", what, concerned, { origin, outcome: { status } }))
      parts.push(part);
  outcome.answer = { status, location: locationIn(origin.base, end) };
  outcome.isWrite = true;
  return { ...end, body: undefined, base: origin.base };
}
