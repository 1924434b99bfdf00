import { expect, test } from "vitest";
import { exportedTypes, ownerParameter, type SearchedTypes } from "#doors/bulk/exported-types";
import type { ExportLevel, ExportRequest } from "#doors/bulk/read-export";
import { r4ResourceTypes, type ResourceType } from "#fhir/r4/elements";

const requestOf = (
  level: ExportLevel,
  types: readonly ResourceType[],
  more: Partial<ExportRequest> = {},
): ExportRequest => ({
  level,
  types,
  since: undefined,
  until: undefined,
  typeFilters: [],
  elements: [],
  patients: undefined,
  ignored: [],
  ...more,
});
/** A client that may search all types, by all that an export needs. */
const whole: SearchedTypes = new Map(
  r4ResourceTypes.map((type) => [type, new Set(["_lastUpdated", ownerParameter(type)])]),
);
const group: ExportLevel = { kind: "group", id: "payer-1" };
const patient: ExportLevel = { kind: "patient" };
const system: ExportLevel = { kind: "system" };
const since = { since: "2026-01-01T00:00:00Z" };
const hidden = (type: string, ...parameters: readonly string[]): SearchedTypes =>
  new Map([...whole, [type, new Set(parameters)]]);
const unsearched: SearchedTypes = new Map([...whole].filter(([type]) => type !== "Condition"));

test.for([
  ["of the system: any type", system, "Practitioner", {}, whole, undefined],
  ["of all patients: a type without patients", patient, "Practitioner", {}, whole, "no_patients"],
  ["of a Group: a type without patients", group, "Practitioner", {}, whole, "no_patients"],
  ["of all patients: a type without a search by owner", patient, "Contract", {}, whole, undefined],
  ["of a Group: a type without a search by owner", group, "Contract", {}, whole, "no_owner_parameter"],
  [
    "of named patients: a type without a search by owner",
    patient,
    "GuidanceResponse",
    { patients: ["a"] },
    whole,
    "no_owner_parameter",
  ],
  ["a type that the client may not search", system, "Condition", {}, unsearched, "not_searched"],
  ["hidden times, without a limit by time", patient, "Condition", {}, hidden("Condition"), undefined],
  ["hidden times, with _since", patient, "Condition", since, hidden("Condition"), "not_searched"],
  ["hidden owners, of a Group", group, "Condition", {}, hidden("Condition", "_lastUpdated"), "not_searched"],
] as const)(
  "a named type has a file, or a reason why it has none: %s",
  ([, level, type, more, searched, why]) => {
    const { exported, withheld } = exportedTypes(requestOf(level, ["Patient", type], more), searched);
    expect(exported).toEqual(why === undefined ? ["Patient", type] : ["Patient"]);
    expect(withheld).toEqual(why === undefined ? [] : [{ type, why }]);
  },
);

test("without _type each type that the client may search and that has patients has a file or a reason", () => {
  for (const level of [group, patient]) {
    const { exported, withheld } = exportedTypes(requestOf(level, []), whole);
    expect(withheld).toEqual(
      level === patient
        ? []
        : ["BiologicallyDerivedProduct", "Contract", "GuidanceResponse"].map((type) => ({
            type,
            why: "no_owner_parameter",
          })),
    );
    expect(exported).toContain("Observation");
    expect(exported).not.toContain("Practitioner");
  }
  const all = exportedTypes(requestOf(system, []), whole);
  expect([all.exported, all.withheld]).toEqual([r4ResourceTypes, []]);
});
