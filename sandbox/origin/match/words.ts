import { field, items, text } from "../values.ts";
import { folded } from "./string.ts";

/** `_text`: words of the narrative (R4 search.html#content); all of them, in any order. */
export const narrativeHas = (resource: object, searched: string): boolean =>
  has((text(field(resource, "text"), "div") ?? "").replaceAll(/<[^>]*>/gu, " "), searched);

/** `_content`: words of any text in the resource (R4 search.html#content); all of them, in any order. */
export const contentHas = (resource: object, searched: string): boolean =>
  has([...stringsIn(resource)].join(" "), searched);

function has(texts: string, searched: string): boolean {
  const there = folded(texts);
  return folded(searched)
    .split(/\s+/u)
    .every((word) => there.includes(word));
}

function* stringsIn(value: unknown): Iterable<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "object" && value !== null)
    for (const inner of Object.values(value)) for (const item of items(inner)) yield* stringsIn(item);
}
