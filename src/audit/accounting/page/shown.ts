import { countsText } from "#audit/accounting/compose";
import type { AccountingLine } from "#audit/accounting/line";
import { wallTime } from "#kernel/wall-time";
import type { PageTexts } from "./english.ts";

/** The words of a line that its proof covers, as the page shows them: the check writes them once more. */
export interface ShownFacts {
  readonly when: string;
  readonly why: string;
  readonly what: string;
}

export const shownFacts = (says: AccountingLine, zone: string, texts: PageTexts): ShownFacts => ({
  when: texts.dateTime(wallTime(says.at, zone)),
  why: says.purposes.map(texts.purpose).join("; "),
  what: countsInWords(says, texts),
});

/** `12 test results and measurements; 1 visit`. */
export const countsInWords = ({ counts }: Pick<AccountingLine, "counts">, texts: PageTexts): string =>
  Object.entries(counts)
    .map(([kind, count]) => texts.counted(kind, count))
    .join("; ") || texts.noCounts;

/** The texts by which a row of the page shows the facts that its proof covers. */
export interface ShownRow extends ShownFacts {
  /** The texts of the folded part. */
  readonly details: readonly string[];
}

/** Answers whether a row shows exactly the facts of its proven line. */
export function isShownAsProven(
  row: ShownRow,
  says: AccountingLine,
  zone: string,
  texts: PageTexts,
): boolean {
  const { when, why, what } = shownFacts(says, zone, texts);
  const exact = [new Date(says.at).toISOString(), says.recipient, says.purposes.join(" "), countsText(says)];
  return (
    row.when === when &&
    row.why === why &&
    row.what === what &&
    exact.every((fact) => row.details.includes(fact))
  );
}
