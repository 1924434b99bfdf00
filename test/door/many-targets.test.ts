import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import type { PolicyDocument } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";
import { to } from "../support/fhir-parts.ts";
import { beyond, type Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";

// Synthea writes a Provenance with each row of a patient as its target: some 550.

const document: PolicyDocument = {
  ...policy(
    rule(["Patient", "Observation", "Provenance"], "everything", { interactions: ["read", "search"] }),
  ),
  purposes: ["PATRQT"],
};
const worlds = worldsUnder(document);

const targets = Array.from({ length: 541 }, (_, n) => `Observation/ann-${n}`);
const observation = (id: string, patient: string, more: object = {}): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "pulse" },
  subject: to(`Patient/${patient}`),
  ...more,
});
const provenance = (id: string, target: readonly string[]): Resource => ({
  resourceType: "Provenance",
  id,
  target: target.map(to),
  recorded: "2026-01-03T10:00:00Z",
  agent: [{ who: { display: "Dr. Doe" } }],
});
const rows = [
  { resourceType: "Patient", id: "ann" } as const,
  { resourceType: "Patient", id: "ben" } as const,
  ...targets.map((target) => observation(target.slice("Observation/".length), "ann")),
  provenance("all", targets),
  provenance("with-ben", [...targets.slice(1), "Observation/bens"]),
  provenance("with-labelled", [...targets.slice(1), "Observation/labelled"]),
  provenance("too-many", [...targets, ...targets]),
];
const hidden = [
  observation("bens", "ben"),
  observation("labelled", "ann", {
    meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }] },
  }),
];
const idsOf = ({ body }: Seen) => {
  const { entry = [] } = JSON.parse(body.toString("utf8")) as { entry?: { resource: { id: string } }[] };
  return entry.map(({ resource }) => resource.id);
};

test("a Provenance of 541 targets arrives if the patient may see each of them; a hidden target among them is as an absent one", async ({
  expect,
}) => {
  const by = await worlds.by("patient");
  const ask = (path: string) => ({ by, path });
  await worlds.compare({ origin: [] }, { origin: [] }, [ask("Patient")]);
  const { one, differences } = await worlds.compare({ origin: rows }, { origin: [...rows, ...hidden] }, [
    ask("Provenance/all"),
    ask("Provenance?patient=ann"),
    ask("Provenance"),
    ask("Provenance?target=Observation/ann-1"),
    ask("Observation?_id=ann-1&_revinclude=Provenance:target"),
    ask("Provenance/with-ben"),
    ask("Provenance/with-labelled"),
    ask("Provenance/too-many"),
  ]);
  expect(beyond(differences, { records: /\/event\/withheld\/resources$/u })).toEqual([]);
  expect(one.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 404, 404, 404]);
  expect(one.slice(1, 5).map(idsOf)).toEqual([[], [], ["all"], ["ann-1", "all"]]);
});
