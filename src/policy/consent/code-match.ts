import { icdTextOf } from "#policy/sensitivity/sensitive-codes";
import { codeName, unclear, type Unclear } from "./consent.ts";
import type { Match } from "./match.ts";
import type { ConsentRowFacts } from "./row-facts.ts";

/** The codes of a provision, prepared once for all rows. */
interface ListedCodes {
  /** With their systems. */
  readonly named: ReadonlySet<string>;
  /** `|code` of each, by which a code of a row without a system is found. */
  readonly withoutSystem: ReadonlySet<string>;
  /** `|code` of those that are listed without a system. */
  readonly bare: ReadonlySet<string>;
  /** As `icdTextOf` writes codes of ICD-10. */
  readonly icd: ReadonlySet<string>;
  readonly hasUnclear: boolean;
}

/** The codes of a row, read once for all Consents. */
interface CodesOfRow {
  readonly names: ReadonlySet<string>;
  /** The end of each name from its first bar, which is the code, and from its last bar: a code may name its system. */
  readonly ends: ReadonlySet<string>;
  readonly icd: ReadonlySet<string>;
}

const prepared = new WeakMap<readonly (string | Unclear)[], ListedCodes>();
const read = new WeakMap<ReadonlySet<string>, CodesOfRow>();

/**
 * Answers whether a row has one of the codes. A code without a system may be a code of any. A code of ICD-10 without
 * its dot, in small letters or in WHO's edition may be the code that the Consent means. It costs the codes of the
 * Consent or of the row, never their product.
 */
export function codesMatch(
  listed: readonly (string | Unclear)[],
  { codes }: Pick<ConsentRowFacts, "codes">,
): Match {
  let sought = prepared.get(listed);
  if (sought === undefined) prepared.set(listed, (sought = listedCodes(listed)));
  let row = read.get(codes);
  if (row === undefined) read.set(codes, (row = codesOfRow(codes)));
  if (meet(sought.named, row.names)) return "yes";
  const mayBe =
    sought.hasUnclear ||
    meet(sought.withoutSystem, row.names) ||
    meet(sought.bare, row.ends) ||
    meet(sought.icd, row.icd);
  return mayBe ? "unknown" : "no";
}

function listedCodes(listed: readonly (string | Unclear)[]): ListedCodes {
  const [named, withoutSystem, bare] = [new Set<string>(), new Set<string>(), new Set<string>()];
  const codes = listed.filter((code) => code !== unclear);
  for (const code of codes) {
    const at = code.indexOf("|");
    if (at === 0) bare.add(code);
    else {
      // A Consent that was filed by an earlier version may have an earlier name of the system.
      named.add(code).add(codeName(code.slice(0, at), code.slice(at + 1)));
      withoutSystem.add(code.slice(at));
    }
  }
  return { named, withoutSystem, bare, icd: icdTextsOf(codes), hasUnclear: codes.length < listed.length };
}

function codesOfRow(names: ReadonlySet<string>): CodesOfRow {
  const ends = new Set<string>();
  // Never from each bar: a code of 16,000 bars would cost the square of its length.
  for (const name of names) ends.add(name.slice(name.indexOf("|"))).add(name.slice(name.lastIndexOf("|")));
  return { names, ends, icd: icdTextsOf(names) };
}

const icdTextsOf = (names: Iterable<string>): ReadonlySet<string> =>
  new Set([...names].flatMap((name) => icdTextOf(name) ?? []));

function meet(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  const [few, many] = one.size <= other.size ? [one, other] : [other, one];
  for (const member of few) if (many.has(member)) return true;
  return false;
}
