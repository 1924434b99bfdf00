import * as fc from "fast-check";
import { expect, test } from "vitest";
import { searchParametersOf } from "#fhir/search/parameters";
import type { SearchParameter } from "#fhir/search/search";
import { coversSearches } from "#policy/relations";
import { permitsParameter, type Searchable } from "#policy/search/searchable";

const systems = ["urn:a", "urn:b", "urn:c"] as const;
const searchable = fc.oneof(
  fc.constant<Searchable>({ kind: "hidden" }),
  fc.constant<Searchable>({ kind: "free" }),
  fc.constant<Searchable>({ kind: "named", systems: undefined }),
  fc.subarray([...systems]).map((named): Searchable => ({ kind: "named", systems: new Set(named) })),
);
const definition = searchParametersOf("Observation").get("code");
if (definition === undefined) throw new Error("R4 has no Observation?code");

/** Every search by one value or two, of each system, of no system, and with a modifier. */
const searches = [...systems, "urn:unlisted", "", undefined].flatMap((system): readonly SearchParameter[] => {
  const value = { kind: "token", text: "x", system, code: "x" } as const;
  return [
    { definition, values: [value] },
    { definition, values: [value, { kind: "token", text: "y", system: "urn:a", code: "y" } as const] },
    { definition, values: [value], modifier: "not" },
  ];
});

test("a permission covers another one exactly when it permits each of its searches", () => {
  fc.assert(
    fc.property(searchable, searchable, (wide, narrow) => {
      // Only `free` permits a search without a system or with a modifier: those searches are in the list.
      const expected = searches.every(
        (search) => !permitsParameter(narrow, search) || permitsParameter(wide, search),
      );
      expect(coversSearches(wide, narrow)).toBe(expected);
    }),
  );
});
