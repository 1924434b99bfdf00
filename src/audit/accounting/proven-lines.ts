import { toBase64 } from "#ledger/bytes/base64";
import type { AccountingLine } from "./line.ts";
import { type LinePlace, placeText } from "./line-place.ts";

/** Why a line with a valid proof is wrong next to the lines before it. */
export type MisplacedLine = "shown_before" | "of_another_record";

/**
 * The lines of an accounting whose proofs hold, in the order of the page. A proof says that a line is in the
 * ledger. It does not say that the page shows the line a single time, or under the right record of a patient.
 */
export class ProvenLines {
  readonly #places = new Set<string>();
  readonly #subjects = new Map<string, string>(); // the subject key of each record, in base64
  readonly #records = new Map<string, string>(); // the record of each subject key

  /**
   * Adds a line whose proof holds; undefined if the line fits to the lines before it.
   *
   * @param record the record of the patient, as the page names it: `Patient/<id>`, or any constant text if the
   *   page names a single record. Each record has its own subject key, and each subject key its own record.
   */
  add(
    place: LinePlace,
    { subject }: Pick<AccountingLine, "subject">,
    record: string,
  ): MisplacedLine | undefined {
    const text = placeText(place);
    if (this.#places.has(text)) return "shown_before";
    const key = toBase64(subject);
    if ((this.#subjects.get(record) ?? key) !== key || (this.#records.get(key) ?? record) !== record)
      return "of_another_record";
    this.#places.add(text);
    this.#subjects.set(record, key);
    this.#records.set(key, record);
    return undefined;
  }
}
