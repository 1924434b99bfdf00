/**
 * A table of texts in a language without Latin letters: each text, and each text that a function of the table makes,
 * has a Cyrillic letter in the place of each Latin one. A Latin letter on a page of this table is a text that stands
 * outside of the table, or data.
 */
export function foreign<T>(table: T): T {
  return changed(table) as T; // the same shape
}

function changed(value: unknown): unknown {
  if (typeof value === "string") return value.replaceAll(/[A-Za-z]/gu, "ж");
  if (typeof value === "function")
    return (...given: readonly unknown[]) => changed(Reflect.apply(value, undefined, given));
  if (Array.isArray(value)) return value.map(changed);
  if (typeof value === "object" && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, changed(each)]));
  return value;
}

/** The words with Latin letters that a person sees or hears. Commands, hashes and ids (`pre`, `code`) are no language. */
export const latinWords = (html: string): readonly string[] => {
  const shown = html.replaceAll(/<(pre|code|style|script)\b.*?<\/\1>/gsu, " ");
  const spoken = [...shown.matchAll(/(?:aria-label|data-head|title|alt|placeholder)="([^"]*)"/gu)].map(
    ([, text]) => text,
  );
  const text = [shown.replaceAll(/<[^>]*>/gu, " "), ...spoken].join(" ").replaceAll(/&#?\w+;/gu, " ");
  return [...new Set(text.match(/[A-Za-z][\w-]*/gu))];
};
