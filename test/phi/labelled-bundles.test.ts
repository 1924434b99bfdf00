import { expect, test } from "vitest";
import { isArray, isObject, property, textAt, valuesAt, type JsonObject } from "#fhir/json/json";
import { consent } from "../policy/consent/scene.ts";
import { policy, rule } from "../policy/granting.ts";
import { readUnder, searchUnder, type Consented } from "./consented.ts";
import { noSharedData, resourcesIn } from "./shared-data.ts";

const v3 = "http://terminology.hl7.org/CodeSystem/v3-";
const types = [
  "Patient",
  "Observation",
  "Condition",
  "DiagnosticReport",
  "MedicationRequest",
  "Procedure",
  "RelatedPerson",
] as const;
const sceneOf = (consents: readonly JsonObject[]): Consented => ({
  policy: policy(rule([...types], "everything")),
  consents,
  patients: ["MonicaRambeau", "SteffiRambeau16"],
});

const codesOf = (resource: JsonObject): readonly string[] => {
  const meta = property(resource, "meta");
  const security = isObject(meta) ? property(meta, "security") : undefined;
  return isArray(security) ? security.map((label) => (isObject(label) && textAt(label, "code")) || "") : [];
};

const labelled = noSharedData
  ? []
  : resourcesIn("ds4p-labelled-bundles").map((bundle) =>
      valuesAt(bundle, ["entry", "resource"]).filter(isObject),
    );
const names = new Set(
  labelled
    .flat()
    .flatMap(codesOf)
    .filter((code) => code !== "R"),
);
const label = (code: string) => ({ system: `${v3}ActCode`, code });
const normal = { system: `${v3}Confidentiality`, code: "N" };
const permitAll = consent({ type: "permit", securityLabel: [normal, ...[...names].map(label)] });

test.skipIf(noSharedData)(
  "the labelled resources of the DS4P bundles stay out, leave by a Consent that names their labels, and nothing else changes (needs ../shared/data)",
  () => {
    const all = labelled.flat();
    const read = (resource: JsonObject, consents: readonly JsonObject[]) =>
      readUnder(sceneOf(consents), resource);
    const permitOne = consent({ type: "permit", securityLabel: [normal, label("STD")] });
    let [withLabels, byOne] = [0, 0];
    for (const resource of all) {
      const codes = codesOf(resource);
      const whole = read(resource, [permitAll]);
      expect(whole, textAt(resource, "id")).toBeDefined();
      expect(isObject(whole) && { ...whole, meta: null }).toEqual({ ...resource, meta: null });
      const without = read(resource, []);
      if (codes.length === 0) expect(without).toEqual(whole);
      else {
        withLabels += 1;
        expect(without).toBeUndefined();
        const isOnlyThat = codes.every((code) => ["R", "STD"].includes(code));
        expect(read(resource, [permitOne]) !== undefined, codes.join()).toBe(isOnlyThat);
        if (isOnlyThat) byOne += 1;
      }
    }
    expect([withLabels > 20, byOne > 0]).toEqual([true, true]);
  },
);

test.skipIf(noSharedData)(
  "in the searchsets of these bundles each further entry is equal byte for byte with and without the Consent (needs ../shared/data)",
  () => {
    const kinds = labelled.flatMap((rows) =>
      types.map((type) => ({ type, rows: rows.filter((row) => textAt(row, "resourceType") === type) })),
    );
    const shown = (type: string, rows: readonly JsonObject[], consents: readonly JsonObject[]) =>
      searchUnder(sceneOf(consents), type, rows);
    let hidden = 0;
    for (const { type, rows } of kinds) {
      const plain = rows.filter((row) => codesOf(row).length === 0);
      hidden += rows.length - plain.length;
      const without = shown(type, rows, []);
      expect(without, "as if the origin had only these").toBe(shown(type, plain, []));
      const whole = shown(type, rows, [permitAll]);
      expect([totalOf(without), totalOf(whole)], type).toEqual([plain.length, rows.length]);
      const alone = rows.map((row) => entryIn(shown(type, [row], [permitAll])));
      const list = alone.length === 0 ? "" : `,"entry":[${alone.join(",")}]`;
      const empty = shown(type, [], []);
      expect(whole, type).toBe(
        empty.replace('"total":0', `"total":${rows.length}`).replace(/\}$/u, () => `${list}}`),
      );
      for (const row of plain) expect(without).toContain(entryIn(shown(type, [row], [permitAll])));
    }
    expect(hidden).toBeGreaterThan(20);
  },
);

const totalOf = (searchset: string) => (JSON.parse(searchset) as { readonly total: number }).total;
const entryIn = (searchset: string) =>
  /"entry":\[(?<entry>.*)\]\}$/u.exec(searchset)?.groups?.["entry"] ?? "?";
