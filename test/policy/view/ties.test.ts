import { test } from "vitest";
import { elementsOf, isResourceType } from "#fhir/r4/elements";
import { r4Ties } from "#fhir/r4/ties.gen";
import { parsePolicyDocument } from "#policy/document";
import type { PolicyRule } from "#policy/schema";
import { readPath } from "#policy/view/element-path";
import { showsAll, shownBy } from "#policy/view/shown";
import { tiesAt, tiesOf } from "#policy/view/ties";
import { compileView } from "#policy/view/view";
import { policy, rule } from "../granting.ts";

const published = (
  type: PolicyRule["types"][number],
  show: PolicyRule["show"],
  more: Partial<PolicyRule> = {},
) => {
  const read = parsePolicyDocument(
    policy(rule([type], show, { interactions: ["read", "search", "update"], ...more })),
  );
  return read.ok ? "published" : `${read.error.pointer} ${read.error.problem}`;
};

// The element that a writer changes, and the element that the server then reveals: each by an invariant of R4
// or a pair of bounds.
test.for<readonly [PolicyRule["types"][number], readonly string[], string]>([
  ["Encounter", ["status", "class", "period.start"], "per-1"],
  ["Patient", ["name.family", "name.period.end"], "per-1"],
  ["Observation", ["status", "code", "component.code", "valueQuantity"], "obs-6"],
  ["Observation", ["status", "code", "dataAbsentReason"], "obs-6"],
  ["Observation", ["status", "code"], "obs-7"],
  ["Observation", ["status", "referenceRange.low"], "obs-3"],
  ["Condition", ["subject", "onset[x]"], "con-4"],
  ["Condition", ["subject", "clinicalStatus", "verificationStatus"], "con-4"],
  ["MedicationDispense", ["status", "medication[x]", "whenPrepared"], "mdd-1"],
  ["Task", ["status", "intent", "authoredOn"], "inv-1"],
  ["Goal", ["description", "target.measure", "target.detailRange.low"], "gol-1"],
  ["AllergyIntolerance", ["patient", "lastOccurrence"], "bound"],
  ["Appointment", ["status", "participant", "start"], "app-2"],
  ["Device", ["manufactureDate"], "bound"],
  ["Patient", ["birthDate"], "bound"],
  ["MedicationRequest", ["status", "intent", "dosageInstruction.timing.repeat.boundsPeriod.start"], "per-1"],
  ["Observation", ["status", "valueRange.low.value", "valueRange.high"], "obs-6"],
])("an update of %s that shows %j alone is not published: %s", ([type, show, key], { expect }) => {
  const answer = published(type, [...show]);
  expect(answer).toMatch(/^\/rules\/0\/interactions\/2 would reveal /u);
  expect(answer).toContain(key);
  expect(
    published(type, [...show], { interactions: ["read", "search"] }),
    "to read it finds out nothing",
  ).toBe("published");
});

test("a slice is looked into, and so are the items in no slice", ({ expect }) => {
  expect(
    published("Patient", ["identifier[system=urn:mrn].value", "identifier[system=urn:mrn].period.start"]),
  ).toContain("identifier.period.end");
  expect(
    published("Patient", ["identifier[system=urn:mrn].value", "identifier[system=urn:mrn].period"]),
  ).toBe("published");
  expect(published("Encounter", ["status", "identifier.period", "identifier[system=urn:mrn].value"])).toBe(
    "published",
  );
});

test.for<readonly [PolicyRule["types"][number], PolicyRule["show"]]>([
  ["Patient", "everything"],
  ["Patient", ["name", "gender", "telecom"]],
  ["Patient", ["name", "birthDate", "deceased[x]"]],
  ["Encounter", ["status", "class", "subject", "period"]],
  ["Encounter", ["status", "class", "subject"]],
  ["Observation", ["status", "category", "subject", "code", "value[x]", "dataAbsentReason", "component"]],
  ["Observation", ["status", "category", "subject", "note"]],
  ["Condition", ["subject", "code", "clinicalStatus", "verificationStatus", "onset[x]", "abatement[x]"]],
  ["Task", ["status", "intent", "for", "description"]],
])(
  "an update of %s that shows both or neither of what is tied is published: %j",
  ([type, show], { expect }) => {
    expect(published(type, show)).toBe("published");
  },
);

test("each pair that is checked together is refused by its first element alone, and a view of everything ties nothing", ({
  expect,
}) => {
  const none = { all: false, urls: new Set<string>() };
  for (const type of Object.keys(r4Ties).filter(isResourceType)) {
    expect(tiesOf(compileView(type, showsAll, none)), type).toEqual([]);
    for (const { key, paths: names } of tiesAt(type)) {
      const paths = names.map((path) => path.join("."));
      const first = paths.find((path) => !path.includes("*")) ?? "";
      // A nested resource is redacted by its own rule; modifier elements are always shown.
      const isShownAnyway = (path: string) =>
        elementsOf(type).get(path.split(".")[0] ?? "")?.isModifier === true;
      if (
        first === "" ||
        first.startsWith("entry.resource") ||
        paths.every((path) => path === first || isShownAnyway(path))
      )
        continue;
      const ties = tiesOf(compileView(type, shownBy(readPath(first)), none));
      expect(
        ties.map((tie) => tie.key),
        `${type} ${key}: ${paths.join()}`,
      ).toContain(key);
    }
  }
});
