import { field, items, type Value } from "../values.ts";

const parts: Readonly<Record<string, readonly string[]>> = {
  HumanName: ["text", "family", "given", "prefix", "suffix"],
  Address: ["text", "line", "city", "district", "state", "postalCode", "country"],
};

/** The texts of a value: for a name or an address, each of its parts (R4 §3.1.1.4.8). */
export function stringsOf({ type, value }: Value): string[] {
  const keys = parts[type];
  const found = keys === undefined ? [value] : keys.flatMap((key) => items(field(value, key)));
  return found.filter((text) => typeof text === "string");
}

/** Without case and accents, as a string search compares (R4 §3.1.1.4.8). */
export const folded = (text: string): string =>
  text
    .normalize("NFD")
    .replaceAll(/\p{Mark}/gu, "")
    .toLowerCase();
