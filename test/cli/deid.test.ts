import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { phylaxIn } from "./phylax.ts";

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "phylax-deid-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const rows = [
  {
    resourceType: "Patient",
    id: "fox",
    birthDate: "1987-06-05",
    name: [{ family: "Fox" }],
    gender: "female",
  },
  {
    resourceType: "Observation",
    id: "o1",
    status: "final",
    subject: { reference: "Patient/fox" },
    code: { text: "F" },
  },
  { resourceType: "Binary", id: "b", contentType: "text/plain" },
];

test("deid make takes the identifiers out, deid check finds none left, and references stay whole", async () => {
  writeFileSync(join(folder, "in.ndjson"), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const before = await phylaxIn(folder, "deid", "check", "in.ndjson", "--json");
  expect(before.code).toBe(1);
  expect(before.out).toContain('"path": "Patient.birthDate"');
  expect(`${before.out}${before.error}`).not.toMatch(/Fox|1987/u);

  const made = await phylaxIn(folder, "deid", "make", "in.ndjson", "out.ndjson", "--json");
  expect(JSON.parse(made.out)).toMatchObject({ resources: 2, withheld: 1 });
  const [patient, observation] = readFileSync(join(folder, "out.ndjson"), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { id: string; subject?: object });
  expect(patient).toMatchObject({ birthDate: "1987", gender: "female" });
  expect(observation?.subject).toEqual({ reference: `Patient/${patient?.id}` });

  const after = await phylaxIn(folder, "deid", "check", "out.ndjson");
  expect([after.code, after.error]).toEqual([0, ""]);
  expect(after.out).toContain("k=1: 1987 female");
});

test("two runs have no code in common, and a written file is never overwritten", async () => {
  writeFileSync(join(folder, "one.ndjson"), `${JSON.stringify(rows[0])}\n`);
  await phylaxIn(folder, "deid", "make", "one.ndjson", "first.ndjson");
  await phylaxIn(folder, "deid", "make", "one.ndjson", "second.ndjson");
  const idOf = (file: string) => (JSON.parse(readFileSync(join(folder, file), "utf8")) as { id: string }).id;
  expect(idOf("first.ndjson")).not.toBe(idOf("second.ndjson"));
  expect((await phylaxIn(folder, "deid", "make", "one.ndjson", "first.ndjson")).code).not.toBe(0);
});

test("a reference to an entry of a Bundle follows the entry's code", async () => {
  const entry = rows.slice(0, 2).map((resource) => ({
    fullUrl: `urn:uuid:${resource.id}`,
    resource: { ...resource, ...(resource.subject && { subject: { reference: "urn:uuid:fox" } }) },
  }));
  const bundle = { resourceType: "Bundle", id: "b1", type: "collection", entry };
  writeFileSync(join(folder, "bundle.json"), JSON.stringify(bundle, undefined, 2));
  expect((await phylaxIn(folder, "deid", "make", "bundle.json", "bundle.ndjson")).code).toBe(0);
  const made = JSON.parse(readFileSync(join(folder, "bundle.ndjson"), "utf8")) as {
    entry: { resource: { id: string; subject?: object } }[];
  };
  const [patient, observation] = made.entry.map(({ resource }) => resource);
  expect(observation?.subject).toEqual({ reference: `Patient/${patient?.id}` });
  expect((await phylaxIn(folder, "deid", "check", "bundle.ndjson")).code).toBe(0);
});

test("an unknown form is a misuse, and a file that is no JSON is unusable", async () => {
  writeFileSync(join(folder, "bad.json"), "{");
  expect((await phylaxIn(folder, "deid", "check", "bad.json")).code).toBe(2);
  expect((await phylaxIn(folder, "deid", "make", "bad.json", "x", "--form", "expert")).code).toBe(2);
});
