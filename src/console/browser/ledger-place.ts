import { parseWitnessKey } from "#ledger/tlog/cosignature";
import { parseVerifierKey, type Verifier } from "#ledger/tlog/signed-note";
import type { LedgerPlace } from "./ledger-reader.ts";

/** The ledger that a section of the page names; undefined if the section names none. */
export function ledgerPlaceOf({ dataset }: PageElement): LedgerPlace | undefined {
  const { ledger: url, root: rootText = "", witnesses: witnessTexts = "" } = dataset;
  const root = parseVerifierKey(rootText);
  const witnesses = witnessTexts.split(" ").filter(Boolean).map(parseWitnessKey);
  if (url === undefined || !root.ok) return undefined;
  const known = witnesses.flatMap((witness): Verifier[] => (witness.ok ? [witness.value] : []));
  return known.length === witnesses.length ? { url, root: root.value, witnesses: known } : undefined;
}
