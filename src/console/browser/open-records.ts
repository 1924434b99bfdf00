import { type AuditorSource, eventsOf, type EventOnRecord } from "#auditing/ledger-events";
import { texts } from "#console/texts";
import { browserLog, type LedgerPlace, wait } from "./ledger-reader.ts";

const { records } = texts;

type AuditorKey = AuditorSource["auditors"][number];

/** The records of a ledger, opened in this browser, and the sentences about the parts that could not be read. */
export interface OpenedRecords {
  readonly events: readonly EventOnRecord[];
  readonly problems: readonly string[];
}

/** Reads the private key in a file that a person chose. The key stays in the memory of this page. */
export async function auditorKeyIn(input: PageElement): Promise<AuditorKey | undefined> {
  const file = input.files?.[0];
  if (file === undefined) return undefined;
  try {
    const jwk = JSON.parse(await file.text()) as AuditorKey; // the next line checks the members that are used
    return typeof jwk.d === "string" && typeof jwk.crv === "string" ? jwk : undefined;
  } catch {
    return undefined;
  }
}

/** Checks every log, opens every leaf that the key opens, and keeps the events that `isWanted` selects. */
export async function openRecords(
  place: LedgerPlace,
  auditor: AuditorKey,
  isWanted: (found: EventOnRecord) => boolean,
  onRead: () => void,
): Promise<OpenedRecords> {
  const events: EventOnRecord[] = [];
  const problems = new Set<string>();
  const source = {
    keys: [place.root],
    auditors: [auditor],
    only: [],
    readerOf: (log: string) => browserLog(place, log, onRead),
    nowSeconds: Date.now() / 1000,
    wait,
    onDeleted: (log: string) => void problems.add(records.deleted(log)),
  };
  for await (const found of eventsOf(source)) {
    if ("event" in found) {
      if (isWanted(found)) events.push(found);
    } else if ("wrong" in found) problems.add(records.wrong(found.log, found.wrong));
    else problems.add(records.unopened(found.log, found.why));
  }
  return { events, problems: [...problems] };
}
