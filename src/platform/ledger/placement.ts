import { type LedgerLayout, readLayout } from "#ledger/layout";

/** The variables of the ledger's place. Every worker that calls them has the same values. */
export interface PlacementVariables {
  readonly LEDGER_SHARDS: string;
  readonly LEDGER_REGIONS?: string;
  readonly LEDGER_JURISDICTION?: string;
}

/** The place of the ledger's objects. */
export interface LedgerPlacement {
  readonly layout: LedgerLayout;
  /** All objects of the ledger are in it; undefined: in none. */
  readonly jurisdiction: DurableObjectJurisdiction | undefined;
}

/** Cloudflare's jurisdictions for Durable Objects (docs: durable-objects/reference/data-location). */
const jurisdictions: ReadonlySet<string> = new Set([
  "eu",
  "fedramp",
  "fedramp-high",
  "us",
] satisfies DurableObjectJurisdiction[]);

const isJurisdiction = (text: string): text is DurableObjectJurisdiction => jurisdictions.has(text);

/** Reads the three variables. `bad` is called with the name of a wrong variable and its expected value. */
export function readPlacement(
  env: PlacementVariables,
  bad: (variable: string, expected: string) => never,
): LedgerPlacement {
  const { LEDGER_SHARDS, LEDGER_REGIONS = "", LEDGER_JURISDICTION = "" } = env;
  const shards = Number(LEDGER_SHARDS);
  if (!/^[1-9]\d{0,4}$/u.test(LEDGER_SHARDS) || shards > 10_000)
    return bad("LEDGER_SHARDS", "a whole number from 1 to 10000");
  const layout = readLayout(LEDGER_REGIONS, shards);
  if (!layout.ok) return bad("LEDGER_REGIONS", layout.error);
  return { layout: layout.value, jurisdiction: readJurisdiction(LEDGER_JURISDICTION, bad) };
}

/** The jurisdiction of a worker's objects; undefined: none. */
export function readJurisdiction(
  text: string,
  bad: (variable: string, expected: string) => never,
): DurableObjectJurisdiction | undefined {
  if (text === "" || isJurisdiction(text)) return text === "" ? undefined : text;
  return bad("LEDGER_JURISDICTION", "a jurisdiction of Durable Objects, like eu, or an empty text");
}
