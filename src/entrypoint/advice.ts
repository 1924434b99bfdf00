import { allRefusals } from "./all-refusals.ts";
import type { RefusalRow } from "./public-face.ts";
import { recordedOnly } from "./client-refusals.ts";

/** The texts that the callers of each door got for a reason on record; none for an unknown reason. */
export function adviceOn(reason: string): readonly string[] {
  const rows: Readonly<Record<string, RefusalRow>> = allRefusals;
  const row = Object.hasOwn(rows, reason) ? rows[reason] : undefined;
  const words: Readonly<Record<string, string>> = recordedOnly;
  const texts = [
    row?.gateway?.text,
    row?.token?.description,
    row?.admin?.title,
    Object.hasOwn(words, reason) ? words[reason] : undefined,
  ].filter((text) => text !== undefined);
  return [...new Set(texts)];
}
