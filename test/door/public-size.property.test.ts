import type { Resource } from "@medplum/fhirtypes";
import * as fc from "fast-check";
import { test } from "vitest";
import { leafKinds } from "#ledger/leaf/leaf";
import {
  commonWorld,
  concernedPolicy,
  condition,
  encounter,
  hidden,
  observation,
} from "../support/concerned-world.ts";
import { failForMarkedRows, faults } from "../support/faulty-rows.ts";
import { inLane } from "../support/lane.ts";
import type { PlainQuestion } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { bundleOf, entryOf, fhirJson, jsonPatch, to } from "../support/fhir-parts.ts";

// The public part of the ledger (docs/ledger-format.md §9). In two worlds that a client may not tell apart,
// each question makes the same number of public leaves with the same lengths, whatever the length of the
// question. The id of its token lengthens it byte by byte over a whole padding class.

const scenes = inLane({ fast: 50, slow: 1_000, long: 10_000 });
const classBytes = 256;

const worlds = worldsUnder(concernedPolicy);
failForMarkedRows();

const many = (count: number, row: (n: number) => Resource) => Array.from({ length: count }, (_, n) => row(n));
const shown = (more: object = {}) => observation("shown", "ann", { valueInteger: 1, ...more });

/** Faulty rows that Ann's app may not see: rows of another patient, and rows of no rule. */
const faulty = Object.entries(faults).flatMap(
  ([fault, row]): [string, readonly [[], readonly Resource[]]][] => [
    [`a row of another patient's ${fault}`, [[], [observation("x", "ben", row)]]],
    [`a row of no rule ${fault}`, [[], [observation("x", "ann", { ...hidden.ofNotes, ...row })]]],
  ],
);

/** Pairs of worlds that Ann's app may not tell apart: the additional rows of each world. */
const pairs: Readonly<Record<string, readonly [readonly Resource[], readonly Resource[]]>> = {
  "a row of another patient's": [[], [observation("x", "ben")]],
  "a row of no rule": [[], [observation("x", "ann", hidden.ofNotes)]],
  "a row that cannot be understood": [[], [observation("x", "ann", { implicitRules: "urn:x" })]],
  "another patient who lives somewhere": [
    [],
    [{ resourceType: "Patient", id: "x", address: [{ state: "Maine" }] }],
  ],
  "23 hidden rows or 24": [
    many(23, (n) => observation(`h${n}`, "ann", hidden.ofNotes)),
    many(24, (n) => observation(`h${n}`, "ann", hidden.ofNotes)),
  ],
  "no hidden rows or many": [[], many(30, (n) => observation(`h${n}`, "ann", hidden.ofNotes))],
  "hidden elements that name others": [
    [shown()],
    [shown({ performer: [to("Patient/ben"), to("Patient/a-much-longer-name-than-bens")] })],
  ],
  "hidden elements that name somebody": [
    [shown()],
    [shown({ performer: [{ type: "Patient", identifier: { value: "7" } }] })],
  ],
  "hidden contained resources": [
    [shown()],
    [shown({ contained: [{ resourceType: "Patient", id: "p" }], performer: [to("#p")] })],
  ],
  ...Object.fromEntries(faulty),
};

const visit = encounter("x", "ann");

const questions: Readonly<Record<string, PlainQuestion>> = {
  read: { path: "Observation/x" },
  "read of a patient": { path: "Patient/x" },
  "read of a shown one": { path: "Observation/shown" },
  head: { path: "Observation/x", method: "HEAD" },
  vread: { path: "Observation/x/_history/1" },
  history: { path: "Observation/x/_history" },
  "history of a shown one": { path: "Observation/shown/_history" },
  search: { path: "Observation" },
  "search by id": { path: "Observation?_id=x,shown" },
  chain: { path: "Observation?patient:Patient.address-state=Maine" },
  everything: { path: "Patient/ann/$everything" },
  "everything about another": { path: "Patient/x/$everything" },
  lastn: { path: "Observation/$lastn?patient=ann" },
  put: { path: "Observation/x", method: "PUT", headers: fhirJson, body: observation("x", "ann") },
  patch: {
    path: "Observation/x",
    method: "PATCH",
    headers: jsonPatch,
    body: [{ op: "test", path: "/status", value: "x" }],
  },
  delete: { path: "Observation/x", method: "DELETE" },
  create: { path: "Condition", method: "POST", headers: fhirJson, body: condition("new", "ann") },
  "conditional create": {
    path: "Observation",
    method: "POST",
    headers: { ...fhirJson, "if-none-exist": "code=zzz" },
    body: observation("n", "ann"),
  },
  "conditional delete": { path: "Observation?identifier=urn:i|1", method: "DELETE" },
  "put of a shown one": {
    path: "Observation/shown",
    method: "PUT",
    headers: fhirJson,
    body: shown({ valueInteger: 2 }),
  },
  "patch of a shown one": {
    path: "Observation/shown",
    method: "PATCH",
    headers: jsonPatch,
    body: [{ op: "replace", path: "/valueInteger", value: 2 }],
  },
  "put that is refused": {
    path: "Observation/shown",
    method: "PUT",
    headers: { ...fhirJson, "if-match": '"x"' },
    body: shown(),
  },
  batch: bundleOf(
    "batch",
    entryOf("GET", "Observation/x"),
    entryOf("DELETE", "Observation/x"),
    entryOf("PUT", "Encounter/x", visit),
    entryOf("GET", "Patient/x"),
    entryOf("GET", "Observation"),
  ),
  "transaction that is refused": bundleOf(
    "transaction",
    entryOf("POST", "Condition", condition("n", "ann")),
    entryOf("DELETE", "Observation/x"),
  ),
  "transaction with reads": bundleOf(
    "transaction",
    entryOf("POST", "Condition", condition("n", "ann")),
    entryOf("GET", "Observation/x"),
    entryOf("GET", "Observation"),
  ),
};

test(
  "a definition is a further leaf at the first record that names it, the same in both worlds, and at no later record",
  { timeout: 60_000 },
  async ({ expect }) => {
    const by = await worlds.by("patient", { jti: "definitions" });
    const hiddenRow = observation("x", "ann", hidden.ofNotes);
    const { one, differences } = await worlds.compare(
      { origin: [...commonWorld, shown()] },
      { origin: [...commonWorld, shown(), hiddenRow] },
      Array.from({ length: 24 }, () => ({ by, path: "Observation" })), // over the shards of the client
    );
    expect(differences.filter(({ aspect }) => aspect === "leaves")).toEqual([]);
    const further = one.map(
      ({ leaves, records }) => leaves.filter(({ kind }) => kind === leafKinds.sealed).length - records.length,
    );
    expect(further.every((count) => count === 0 || count === 1)).toBe(true);
    expect(further[0]).toBe(1);
    expect(further.slice(-8), "each shard of the client has it").toEqual(Array.from({ length: 8 }, () => 0));
  },
);

test(
  "L41: neither the number nor the length of public leaves depends on a hidden row",
  { timeout: 60_000 + scenes * 200 },
  async ({ expect }) => {
    const first = fc.nat({ max: classBytes - 1 });
    let step = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...Object.entries(pairs)),
        fc.constantFrom(...Object.entries(questions)),
        first,
        async (pair, asking, at) => {
          const [name, [one, other]] = pair;
          const [interaction, { body, ...asked }] = asking;
          const longer = "x".repeat((at + step) % classBytes);
          step += 1;
          const by = await worlds.by("patient", { jti: `t${step}-${longer}` });
          const question = { by, ...asked, ...(body !== undefined && { body: JSON.stringify(body) }) };
          const behind = (more: readonly Resource[]) => ({ origin: [...commonWorld, ...more] });
          const {
            one: here,
            other: there,
            differences,
          } = await worlds.compare(behind(one), behind(other), [question]);
          const where = `${interaction}, of ${name}, ${longer.length} bytes more`;
          expect([where, differences.filter(({ aspect }) => aspect === "leaves")]).toEqual([where, []]);
          expect([where, there[0]?.status]).toEqual([where, here[0]?.status]);
        },
      ),
      { numRuns: scenes },
    );
  },
);

test(
  "a longer question makes a longer record at some length, so the comparison of lengths is effective",
  { timeout: 60_000 },
  async ({ expect }) => {
    const lengths = new Set<number>();
    for (const more of [0, classBytes / 2, classBytes]) {
      const by = await worlds.by("patient", { jti: `l${"x".repeat(more)}` });
      const { one } = await worlds.compare({ origin: commonWorld }, { origin: commonWorld }, [
        { by, path: "Observation/x" },
      ]);
      for (const { length } of one[0]?.leaves ?? []) lengths.add(length);
    }
    expect(lengths.size).toBeGreaterThan(1);
  },
);
