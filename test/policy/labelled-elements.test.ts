import * as fc from "fast-check";
import { describe, test } from "vitest";
import { inlineLabel } from "#fhir/json/facts";
import { isArray, isObject, type Json, type JsonObject } from "#fhir/json/json";
import { canonicalText } from "#fhir/json/same";
import { leavingPart } from "#phi/labelled-parts";
import { coversLabels, unlabelsElement } from "#policy/sensitivity/labelled-elements";
import { plan, outcomeOf } from "../gateway/planning.ts";
import { inLane } from "../support/lane.ts";
import { level, resource, sensitivity } from "./consent/scene.ts";
import { policy, rule } from "./granting.ts";

const labelled = (...codes: readonly string[]) =>
  codes.length === 0
    ? {}
    : { extension: codes.map((code) => ({ url: inlineLabel, valueCoding: sensitivity(code) })) };
const home = { system: "phone", value: "555-0100" };
const work = { system: "phone", value: "555-0200" };
const patient = (telecom: readonly object[], more: object = {}) =>
  resource({ resourceType: "Patient", id: "amara", telecom, ...more });
const hiv = labelled("HIV");

describe("an element keeps its own label", () => {
  const stored = patient([
    { ...home, ...hiv },
    { ...work, ...hiv },
  ]);
  test("whatever further element has the same label", ({ expect }) => {
    const dummy = { note: "x", ...hiv };
    for (const telecom of [
      [home, { ...work, ...hiv }],
      [home, work, dummy],
      [
        { ...home, use: "home" },
        { ...work, ...hiv },
      ],
      [{ ...home, ...hiv }, { ...work, ...hiv }, home],
      [
        { ...home, ...labelled("PSY") },
        { ...work, ...hiv },
      ],
    ])
      expect(unlabelsElement(stored, patient(telecom)), JSON.stringify(telecom)).toBe(true);
    const elsewhere = patient([{ ...work, ...hiv }], { contact: [{ telecom: [home] }] });
    expect(unlabelsElement(stored, elsewhere)).toBe(true);
  });

  test("and may change under it, get more labels, move or be absent", ({ expect }) => {
    for (const telecom of [
      [
        { ...work, ...hiv },
        { ...home, ...hiv },
      ],
      [
        { ...home, ...labelled("HIV", "PSY") },
        { ...work, ...hiv },
      ],
      [
        { ...home, use: "home", ...hiv },
        { ...work, ...hiv },
      ],
      [{ ...home, ...hiv }, { ...work, ...hiv }, { value: "555-0300" }],
      [{ ...work, ...hiv }],
      [],
    ])
      expect(unlabelsElement(stored, patient(telecom)), JSON.stringify(telecom)).toBe(false);
    const open = patient([home, { ...home, ...hiv }]);
    expect(unlabelsElement(open, patient([home]))).toBe(false);
  });

  test("a primitive, a backbone element, and a part of a datatype too", ({ expect }) => {
    const born = { birthDate: "1984-03-02" };
    expect(unlabelsElement(patient([], { ...born, _birthDate: hiv }), patient([], born))).toBe(true);
    const contact = { gender: "male", name: { family: "Doe" } };
    const [before, after] = [
      { ...contact, ...hiv },
      { ...contact, gender: "other" },
    ];
    expect(unlabelsElement(patient([], { contact: [before] }), patient([], { contact: [after] }))).toBe(true);
    const status = (coding: object) => patient([], { maritalStatus: { coding: [coding], text: "x" } });
    expect(unlabelsElement(status({ code: "M", ...hiv }), status({ code: "M" }))).toBe(true);
  });

  test("by an update through the gateway, also where meta.security states the label", async ({ expect }) => {
    const open = {
      ...policy(rule(["Patient"], "everything", { interactions: ["read", "search", "create", "update"] })),
      labels: { leave: [{ labels: ["HIV"], why: "For a test of labels." }] },
    };
    const meta = { versionId: "1", security: [sensitivity("HIV")] };
    const become = async (row: object, next: object) =>
      outcomeOf(await plan(open, "system/*.cruds", { ...row, meta }, { ...next, meta }));
    const one = patient([{ ...home, ...hiv }, work]);
    expect(await become(stored, patient([home, { ...work, ...hiv }]))).toBe("result_widens_access");
    expect(await become(one, patient([home, work]))).toBe("result_widens_access");
    expect(
      await become(
        stored,
        patient([
          { ...home, use: "home", ...hiv },
          { ...work, ...hiv },
        ]),
      ),
    ).toBe("send");
  });
});

test("a sensitivity takes no level's place, and a level may rise", ({ expect }) => {
  expect(coversLabels([level("V")], [level("R")])).toBe(true);
  expect(coversLabels([sensitivity("HIV")], [level("R")])).toBe(false);
  expect(coversLabels([], [level("N")])).toBe(true);
  expect(coversLabels([], [level("R")])).toBe(false);
  expect(coversLabels([null], [null])).toBe(true);
});

const phone = fc.record({
  value: fc.constantFrom("1", "2", "3"),
  use: fc.constantFrom("home", "work"),
  codes: fc.subarray(["HIV", "PSY"]),
});
const row = fc
  .record({ telecom: fc.array(phone, { maxLength: 3 }), contact: fc.array(phone, { maxLength: 2 }) })
  .map(({ telecom, contact }) => {
    const element = ({ value, use, codes }: { value: string; use: string; codes: string[] }) => ({
      value: `canary-${value}`,
      use,
      ...labelled(...codes),
    });
    return patient(telecom.map(element), {
      contact: contact.map(({ codes, ...each }) => ({
        telecom: [element({ ...each, codes: [] })],
        ...labelled(...codes),
      })),
    });
  });

/** Each ContactPoint that leaves to a reader who may see these labels alone. */
function phonesOf(whole: JsonObject, open: readonly string[]): readonly string[] {
  const mayLeave = (labels: readonly Json[]) =>
    labels.every((coding) => isObject(coding) && open.some((code) => coding["code"] === code));
  const found: string[] = [];
  const visit = (value: Json): void => {
    if (isArray(value)) return value.forEach(visit);
    if (!isObject(value)) return;
    const { extension: _labels, ...rest } = value;
    if ("value" in rest) found.push(canonicalText(rest));
    Object.values(value).forEach(visit);
  };
  visit(leavingPart(whole, { mayLeave, isTested: () => false }) ?? {});
  return found;
}

test("after a permitted write no reader sees a stored element that was hidden from the reader before", ({
  expect,
}) => {
  let [permitted, refused] = [0, 0];
  fc.assert(
    fc.property(row, row, (stored, result) => {
      if (unlabelsElement(stored, result)) return void (refused += 1);
      permitted += 1;
      const all = phonesOf(stored, ["HIV", "PSY"]);
      for (const open of [[], ["HIV"], ["PSY"]]) {
        const before = phonesOf(stored, open);
        for (const element of phonesOf(result, open))
          if (all.includes(element)) expect(before).toContain(element);
      }
    }),
    { numRuns: inLane({ fast: 300, slow: 2000, long: 10_000 }) },
  );
  expect(Math.min(permitted, refused)).toBeGreaterThan(20);
});
