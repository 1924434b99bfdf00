import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test } from "vitest";
import { restricted } from "../support/fhir-parts.ts";
import { beyond, TwoWorlds, type Asking, type Seen } from "../support/two-worlds.ts";

let worlds: TwoWorlds;
beforeAll(async () => {
  worlds = await TwoWorlds.open();
}, 60_000);
afterAll(() => worlds.close());

const by = "payer";
const row = (id: string, isHidden: boolean): Resource => ({
  resourceType: "Observation",
  id,
  meta: { lastUpdated: "2026-01-01T00:00:00Z", ...(isHidden ? restricted : {}) },
  status: "final",
  category: [
    {
      coding: [{ system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "laboratory" }],
    },
  ],
  code: { coding: [{ system: "http://loinc.org", code: "718-7" }] },
  subject: { reference: "Patient/ann" },
});
const patient: Resource = { resourceType: "Patient", id: "ann", name: [{ family: "Adams" }] };
const seen = Array.from({ length: 5 }, (_, n) => row(`o${n}`, false));
const hidden = Array.from({ length: 3 }, (_, n) => row(`h${n}`, true));

const location = (before: readonly Seen[]) =>
  before.flatMap(({ headers }) => headers["content-location"] ?? []).at(-1) ?? "no location";
const file = (number: number) => (before: readonly Seen[]) => ({
  by,
  path: `${location(before).replace("$export-status", "$export-file")}/${number}`,
});
const questions: readonly Asking[] = [
  { by, path: "$export?_type=Observation,Patient", headers: { prefer: "respond-async" } },
  (before) => ({ by, path: location(before) }),
  file(1),
  file(2),
  (before) => ({ by, path: location(before), method: "DELETE" }),
  file(1),
];

test("L36: hidden rows show in no answer of an export, in no record's size and in no public leaf", async ({
  expect,
}) => {
  const { one, other, differences } = await worlds.compare(
    { origin: [patient, ...seen] },
    { origin: [patient, ...seen, ...hidden] },
    questions,
  );
  expect(one.map(({ status }) => status)).toEqual([202, 200, 200, 200, 202, 404]);
  expect(one[2]?.body.toString().split("\n")).toHaveLength(seen.length + 1);
  expect(other[2]?.body.equals(one[2]?.body ?? Buffer.alloc(0))).toBe(true);
  expect(beyond(differences, { records: /\/withheld\/resources$/u }), "sealed, for auditors").toEqual([]);
});

test("this test sees a row that differs", async ({ expect }) => {
  const { differences } = await worlds.compare(
    { origin: [patient, ...seen] },
    { origin: [patient, ...seen, row("h0", false)] },
    questions,
  );
  expect(differences.map(({ aspect }) => aspect)).toContain("body");
});
