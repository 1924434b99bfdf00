import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { policyEntry, rule } from "../policy/granting.ts";
import { jsonPatch, to } from "../support/fhir-parts.ts";
import { beyond, type Asking } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";

// A patch of a client that may not read the row: its answer must not depend on what the row holds. The origin alone
// sees the content of its row.

const writing = {
  interactions: ["read", "search", "create", "update"],
} satisfies Partial<Parameters<typeof rule>[2]>;
const worlds = worldsUnder(
  policyEntry(
    "unread",
    [
      rule(["Observation", "Appointment"], "everything", writing),
      rule(["Procedure"], ["status", "code", "note.text", "subject"], writing),
    ],
    { purposes: ["PATRQT"] },
  ).body,
);

const coded = (code: string) => ({ coding: [{ system: "http://loinc.org", code }] });
const subject = to("Patient/ann");
const bare: readonly Resource[] = [
  { resourceType: "Patient", id: "ann" },
  { resourceType: "Observation", id: "o", status: "final", code: coded("8867-4"), subject },
  { resourceType: "Procedure", id: "p", status: "completed", code: coded("8867-4"), subject },
  {
    resourceType: "Appointment",
    id: "a",
    status: "proposed",
    participant: [{ actor: subject, status: "accepted" }],
  },
];
const full: readonly Resource[] = [
  { resourceType: "Patient", id: "ann" },
  {
    resourceType: "Observation",
    id: "o",
    status: "amended",
    code: { text: "canary" },
    subject,
    valueQuantity: { value: 1 },
    note: [{ text: "canary" }, { text: "canary" }],
    category: [coded("a"), coded("b")],
    performer: [to("Practitioner/p")],
    component: [{ code: coded("1"), valueString: "canary" }],
    issued: "2026-01-01T00:00:00Z",
  },
  {
    resourceType: "Procedure",
    id: "p",
    status: "stopped",
    code: coded("1"),
    subject,
    note: [{ text: "canary", time: "2026-01-01" }],
    bodySite: [coded("3")],
  },
  {
    resourceType: "Appointment",
    id: "a",
    status: "booked",
    start: "2026-01-01T00:00:00Z",
    end: "2026-01-01T01:00:00Z",
    comment: "canary",
    participant: [{ actor: subject, status: "accepted" }],
  },
];

type Operation = readonly [op: string, path: string, value?: unknown];
const cases: readonly (readonly [row: string, status: number, ...operations: readonly Operation[]])[] = [
  ["Observation/o", 200, ["replace", "/status", "final"]],
  ["Observation/o", 200, ["add", "/issued", "2026-02-01T00:00:00Z"]],
  ["Observation/o", 200, ["add", "/note", [{ text: "new" }]]],
  ["Observation/o", 200, ["add", "/note/-", { text: "new" }]],
  ["Observation/o", 200, ["add", "/category/-", coded("c")], ["add", "/category/-", coded("d")]],
  ["Procedure/p", 200, ["replace", "/status", "completed"]],
  ["Procedure/p", 200, ["add", "/note/-", { text: "new" }]],
  ["Appointment/a", 200, ["add", "/comment", "new"]],
  // the values alone are wrong
  ["Observation/o", 422, ["replace", "/status", "no status"]],
  ["Observation/o", 422, ["add", "/note/-", { tex: "new" }]],
  // a view that shows a part
  ["Procedure/p", 404, ["add", "/bodySite", [coded("3")]]],
  ["Procedure/p", 404, ["add", "/note", [{ text: "new" }]]],
  // the answer would depend on the row
  ["Observation/o", 403, ["test", "/status", "final"]],
  ["Observation/o", 403, ["replace", "/status", "final"], ["test", "/note/0/text", "canary"]],
  ["Observation/o", 403, ["remove", "/note"]],
  ["Observation/o", 403, ["replace", "/issued", "2026-02-01T00:00:00Z"]],
  ["Observation/o", 403, ["add", "/note/0", { text: "new" }]],
  ["Observation/o", 403, ["add", "/note/0/text", "new"]],
  ["Observation/o", 403, ["add", "/valueString", "new"]],
  ["Observation/o", 403, ["add", "/dataAbsentReason", coded("unknown")]],
  ["Observation/o", 403, ["add", "/code", coded("1")]],
  ["Observation/o", 403, ["add", "/subject", subject]],
  ["Observation/o", 403, ["add", "/performer/-", to("Practitioner/q")]],
  ["Observation/o", 403, ["add", "/encounter", to("Encounter/e")]],
  ["Observation/o", 403, ["add", "/meta", {}]],
  ["Observation/o", 403, ["add", "/_status", { id: "x" }]],
  ["Observation/o", 403, ["replace", "", bare[1]]],
  ["Appointment/a", 403, ["replace", "/status", "booked"]],
  ["Observation/none", 404, ["replace", "/status", "final"]],
];
const from = (path: string) => ({ from: path });

test("a patch without the right to read is answered alike whatever its row holds: it adds, or replaces elements that R4 demands", async ({
  expect,
}) => {
  const by = await worlds.by("system", { scope: "system/*.cu" });
  await worlds.compare({ origin: [] }, { origin: [] }, [{ by, path: "Patient" }]);
  const questions: Asking[] = [
    ...cases.map(([path, , ...operations]) => ({
      by,
      path,
      method: "PATCH",
      headers: jsonPatch,
      body: JSON.stringify(operations.map(([op, at, value]) => ({ op, path: at, value }))),
    })),
    ...["copy", "move"].map((op) => ({
      by,
      path: "Observation/o",
      method: "PATCH",
      headers: jsonPatch,
      body: JSON.stringify([{ op, path: "/note", ...from("/note") }]),
    })),
  ];
  const { one, other, differences } = await worlds.compare({ origin: bare }, { origin: full }, questions);
  const statuses = [...cases.map(([, status]) => status), 403, 403];
  expect(one.map(({ status }) => status)).toEqual(statuses);
  expect(beyond(differences, { questions: /\/body$/u })).toEqual([]);
  for (const { body } of other) expect(body.toString("utf8")).not.toContain("canary");
});

test("a patch without the right to read keeps what the row holds beside it", async ({ expect }) => {
  const by = await worlds.by("system", { scope: "system/*.cu" });
  const reader = await worlds.by("system");
  const body = JSON.stringify([
    { op: "replace", path: "/status", value: "corrected" },
    { op: "add", path: "/note/-", value: { text: "new" } },
  ]);
  const { one, other } = await worlds.compare({ origin: bare }, { origin: full }, [
    { by, path: "Observation/o", method: "PATCH", headers: jsonPatch, body },
    { by: reader, path: "Observation/o" },
  ]);
  const read = (seen: typeof one) => JSON.parse(seen[1]?.body.toString("utf8") ?? "");
  expect(read(one)).toMatchObject({ status: "corrected", note: [{ text: "new" }] });
  expect(read(other)).toMatchObject({
    status: "corrected",
    valueQuantity: { value: 1 },
    note: [{ text: "canary" }, { text: "canary" }, { text: "new" }],
  });
});
