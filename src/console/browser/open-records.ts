import { type AuditorSource, eventsOf, type EventOnRecord, type Unread } from "#auditing/ledger-events";
import { texts } from "#console/texts";
import { browserLog, type LedgerPlace, wait } from "./ledger-reader.ts";

const { records } = texts;

export type AuditorJwk = AuditorSource["auditors"][number];

/** The records of a ledger, opened in this browser, and the sentences about the parts that could not be read. */
export interface OpenedRecords {
  readonly events: readonly EventOnRecord[];
  readonly problems: readonly string[];
}

/** Reads the private key in a file that a person chose. The key stays in the memory of this page. */
export async function auditorKeyIn(input: PageElement): Promise<AuditorJwk | undefined> {
  const file = input.files?.[0];
  if (file === undefined) return undefined;
  try {
    const jwk = JSON.parse(await file.text()) as AuditorJwk; // the next line checks the members that are used
    return typeof jwk.d === "string" && typeof jwk.crv === "string" ? jwk : undefined;
  } catch {
    return undefined;
  }
}

/** The source of records for the code that the command runs too. */
export const auditorSourceIn = (
  place: LedgerPlace,
  auditor: AuditorJwk,
  onRead: () => void,
  onDeleted: (log: string) => void,
  only: readonly string[] = [],
): AuditorSource => ({
  keys: [place.root],
  auditors: [auditor],
  only,
  readerOf: (log) => browserLog(place, log, onRead),
  nowSeconds: Date.now() / 1000,
  wait,
  onDeleted,
});

/** The sentence about a part of the ledger that could not be read. */
export const problemOf = (unread: Unread): string =>
  "wrong" in unread ? records.wrong(unread.log, unread.wrong) : records.unopened(unread.log, unread.why);

/**
 * Checks every log, or the logs of `only`, opens every leaf that the key opens, and keeps the events that
 * `isWanted` selects.
 */
export async function openRecords(
  place: LedgerPlace,
  auditor: AuditorJwk,
  isWanted: (found: EventOnRecord) => boolean,
  onRead: () => void,
  only: readonly string[] = [],
): Promise<OpenedRecords> {
  const events: EventOnRecord[] = [];
  const problems = new Set<string>();
  const source = auditorSourceIn(
    place,
    auditor,
    onRead,
    (log) => void problems.add(records.deleted(log)),
    only,
  );
  for await (const found of eventsOf(source)) {
    if (!("event" in found)) problems.add(problemOf(found));
    else if (isWanted(found)) events.push(found);
  }
  return { events, problems: [...problems] };
}
