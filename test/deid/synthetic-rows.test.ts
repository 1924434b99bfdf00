import { expect, test } from "vitest";
import { findIdentifiers } from "#deid-check/check";
import { readLeftJson } from "#deid-check/read-json";
import { deidentify } from "#deid/deidentify";
import { deidForms, type DeidForm } from "#policy/form/fates";
import { isObject, readJson, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { validateResource } from "#fhir/validate/validate";
import { syntheticResources } from "../../sandbox/synthetic/generate.ts";

const rows = syntheticResources().flatMap((resource) => {
  const read = readJson(new TextEncoder().encode(JSON.stringify(resource)));
  return read.ok && isObject(read.value) ? [read.value] : [];
});

const letters = "abcdefghijklmnopqrstuvwxyz234567";
/** A data set with codes of its own: a number in base 32, from a given start. */
function dataSet(form: DeidForm, start: number) {
  const codes = new Map<string, string>();
  const codeOf = (type: string, id: string) => {
    const code = codes.get(`${type}/${id}`) ?? inBase32(start + codes.size);
    codes.set(`${type}/${id}`, code);
    return code;
  };
  const left = rows.flatMap((row) => {
    const one = deidentify(row, { form, year: 2026, base: "urn:none", codeOf });
    return one === undefined ? [] : [one];
  });
  return { left, codes: new Set(codes.values()) };
}
const inBase32 = (number: number): string =>
  Array.from({ length: 26 }, (_, at) => letters.charAt(Math.floor(number / 32 ** at) % 32)).join("");
const names = (row: JsonObject) => `${textAt(row, "resourceType")}/${textAt(row, "id")}`;

test("what leaves of valid rows is valid, has no identifier, and the rows' codes and numbers arrive", () => {
  const faults = new Set<string>();
  const found = new Set<string>();
  for (const form of deidForms)
    for (const row of rows) {
      const left = deidentify(row, { form, year: 2026, base: "urn:none", codeOf: () => inBase32(7) });
      if (left === undefined) continue;
      if (validateResource(row).length === 0)
        for (const issue of validateResource(left)) faults.add(JSON.stringify(issue));
      const read = readLeftJson(JSON.stringify(left));
      if (read !== undefined)
        for (const { path } of findIdentifiers(read, form, 2026)) found.add(`${form} ${path}`);
    }
  expect([...faults]).toEqual([]);
  expect([...found]).toEqual([]);
  const { left } = dataSet("safe-harbor", 1);
  const measured = (list: readonly JsonObject[]) =>
    list.flatMap((row) => valuesAt(row, ["valueQuantity", "value"])).length;
  expect(rows.length).toBeGreaterThan(300);
  expect(left.length / rows.length).toBeGreaterThan(0.9);
  expect(measured(left)).toBe(measured(rows));
});

test("each reference between rows that left is intact, and two data sets have no code in common", () => {
  const first = dataSet("safe-harbor", 1);
  const second = dataSet("safe-harbor", 1_000_000);
  const present = new Set(first.left.map(names));
  const before = new Set(rows.map(names));
  const withSubject = (list: readonly JsonObject[], known: ReadonlySet<string>) =>
    list.filter((row) =>
      ["subject", "patient", "beneficiary"].some((name) =>
        valuesAt(row, [name, "reference"]).some((text) => typeof text === "string" && known.has(text)),
      ),
    ).length;
  expect(withSubject(first.left, present)).toBeGreaterThan(100);
  expect(withSubject(first.left, present)).toBe(
    withSubject(
      rows.filter((row) =>
        deidentify(row, { form: "safe-harbor", year: 2026, base: "urn:none", codeOf: () => "x" }),
      ),
      before,
    ),
  );
  expect([...first.codes].filter((code) => second.codes.has(code))).toEqual([]);
});
