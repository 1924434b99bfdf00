import { afterAll, beforeAll, test } from "vitest";
import type { AskerKind } from "../support/askers.ts";
import { idsOf, mustAllowWorld, to } from "../support/must-allow.ts";

type World = Awaited<ReturnType<typeof mustAllowWorld>>;

// Searches of several types at once: of a patient's compartment, and of the whole server. Microsoft's suite asks
// most of its questions so.

let door: World["door"];
let ask: World["ask"];
beforeAll(async () => {
  ({ door, ask } = await mustAllowWorld([
    // a patient of no user
    { resourceType: "Patient", id: "cyd" },
    { resourceType: "Condition", id: "c3", subject: to("Patient/cyd") },
    {
      resourceType: "Coverage",
      id: "cov1",
      status: "active",
      beneficiary: to("Patient/ann"),
      subscriber: to("Patient/ben"),
      payor: [to("Patient/ann")],
    },
  ]));
}, 60_000);
afterAll(() => door.close());

const rows = ["c1", "cov1", "d1", "e1", "o1-laboratory", "o1-vital-signs", "pr1"];
const three = "_type=Patient,Observation,Practitioner";
const laboratory = "patient/Observation.s?code=http://loinc.org|code-1";

/** The kind of the token, its scopes, the question, and the ids of the answer, sorted. */
const cases: readonly (readonly [AskerKind, string, string, readonly string[]])[] = [
  [
    "system",
    "system/*.rs",
    "?_type=Condition,Condition,Practitioner,Condition",
    ["c1", "c2", "c3", "vera", "zed"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Patient/ann/*?_type=Observation,Condition",
    ["c1", "o1-laboratory", "o1-performed", "o1-vital-signs"],
  ],
  [
    "patient",
    "patient/*.s",
    "Patient/ann/*?_type=Observation",
    ["o1-laboratory", "o1-performed", "o1-vital-signs"],
  ],
  [
    "patient",
    "patient/*.rs",
    "Patient/ann/*?_type=Coverage,Device,Encounter&_count=50",
    ["cov1", "d1", "e1"],
  ],
  ["user", "user/*.rs", "Patient/ben/*?_type=Condition,Device", ["c2", "d2"]],
  ["system", "system/*.rs", "Patient/ben/*?_type=Condition", ["c2"]],
  [
    "patient",
    "patient/*.rs",
    `?${three}`,
    ["ann", "o1-laboratory", "o1-performed", "o1-vital-signs", "vera"],
  ],
  // a single type: the search of that type, with its parameters
  ["patient", "patient/*.rs", "?_type=Observation", ["o1-laboratory", "o1-performed", "o1-vital-signs"]],
  ["patient", "patient/*.rs", "?_type=Observation&code=code-1", ["o1-laboratory"]],
  ["patient", "patient/*.rs", "?_type=Practitioner", ["vera"]],
  ["system", "system/*.rs", "?_type=Condition", ["c1", "c2", "c3"]],
  // several types, and parameters that each of them has
  [
    "patient",
    "patient/*.rs",
    "?_type=Condition,Observation&patient=ann",
    ["c1", "o1-laboratory", "o1-vital-signs"],
  ],
  ["system", "system/*.rs", "?_type=Condition,Encounter&subject=Patient/ben&_count=1", ["c2", "e2"]],
  [
    "system",
    "system/*.rs",
    "?_type=Condition,Observation&code=code-1,c",
    ["c1", "c2", "o1-laboratory", "o2-laboratory"],
  ],
  ["user", "user/*.rs", "?_type=Condition,Encounter&_id=c1,c2,c3,e1", ["c1", "c2", "e1"]],
  // other scopes than a patient's
  ["user", "user/*.rs", "?_type=Condition,Device,Encounter", ["c1", "c2", "d1", "d2", "e1", "e2"]],
  ["user", "user/*.rs", "?_type=Condition,Practitioner", ["c1", "c2"]],
  ["system", "system/*.rs", "?_type=Condition,Practitioner", ["c1", "c2", "c3", "vera", "zed"]],
  [
    "system",
    "system/Condition.rs system/Practitioner.rs?name=vera",
    "?_type=Condition,Practitioner,Device",
    ["c1", "c2", "c3", "vera"],
  ],
  ["patient", "patient/Condition.rs user/*.rs", "?_type=Condition,Device", ["c1"]],
  // a Provenance whose targets may be seen
  ["patient", "patient/*.rs", "?_type=Condition,Provenance", ["c1", "pr1"]],
  ["patient", "patient/*.rs", "Patient/ann/*?_type=Provenance", ["pr1"]],
  ["patient", `${laboratory} patient/Patient.s`, `?${three}`, ["ann", "o1-laboratory"]],
  ["patient", `${laboratory} patient/Patient.rs?name=ben`, `?${three}`, ["o1-laboratory"]],
  [
    "patient",
    "patient/*.s?_type=Patient,Observation",
    `?${three}`,
    ["ann", "o1-laboratory", "o1-performed", "o1-vital-signs"],
  ],
  ["patient", "patient/Patient.rs user/*.rs", "?_type=Patient,Observation", ["ann"]],
  // another patient, and a patient whom the origin does not have
  ["patient", "patient/*.rs", "Patient/ben/*", []],
  ["patient", "patient/*.rs", "Patient/absent/*", []],
  ["user", "user/*.rs", "Patient/cyd/*", []],
  ["system", "system/*.rs", "Patient/cyd/*", ["c3", "cyd"]],
];

test.for(cases)("%s %s: %s", async ([kind, scope, path, ids], { expect }) => {
  const found: string[] = [];
  let next: string | undefined = path.replaceAll("|", "%7C");
  while (next !== undefined) {
    const before = door.forwarded.length;
    const reply = await ask(kind, scope, next);
    expect(reply.status, reply.text).toBe(200);
    expect(door.forwarded.length - before, "one unit of quota").toBeLessThanOrEqual(12);
    found.push(...idsOf(reply));
    const { link } = JSON.parse(reply.text) as { link: { relation: string; url: string }[] };
    next = link.find(({ relation }) => relation === "next")?.url;
  }
  expect(found.toSorted()).toEqual(ids);
});

test("the first page of all types begins with the types that most records have", async ({ expect }) => {
  for (const path of ["Patient/ann/*", ""]) {
    const reply = await ask("patient", "patient/*.rs", path);
    expect(reply.status, reply.text).toBe(200);
    expect(idsOf(reply), path).toEqual(expect.arrayContaining(["ann", "e1", "c1", "o1-laboratory"]));
  }
});

test("every row of the compartment comes once, page by page, and the posted search has the same rows", async ({
  expect,
}) => {
  const found: string[] = [];
  let path: string | undefined = "Patient/ann/*?_count=2";
  while (path !== undefined) {
    const reply = await ask("patient", "patient/*.rs", path);
    expect(reply.status, reply.text).toBe(200);
    const { link, entry = [] } = JSON.parse(reply.text) as {
      link: { relation: string; url: string }[];
      entry?: { resource: { id: string } }[];
    };
    expect(entry.length).toBeLessThanOrEqual(2);
    found.push(...entry.map(({ resource }) => resource.id));
    path = link.find(({ relation }) => relation === "next")?.url;
  }
  expect(new Set(found).size).toBe(found.length);
  expect(found).toEqual(expect.arrayContaining(["ann", ...rows]));
  expect(found.filter((id) => /2|ben|both/u.test(id))).toEqual([]);

  const pages: string[] = [];
  path = "?_type=Patient,Observation&_count=1";
  while (path !== undefined) {
    const reply = await ask("patient", "patient/*.rs", path);
    pages.push(...idsOf(reply));
    const { link } = JSON.parse(reply.text) as { link: { relation: string; url: string }[] };
    path = link.find(({ relation }) => relation === "next")?.url;
  }
  const posted = await ask("patient", "patient/*.rs", "_search", {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "_type=Patient,Observation",
  });
  expect(idsOf(posted)).toEqual(pages.toSorted());
});

test("another patient's compartment and an absent patient's get the same questions and the same answer", async ({
  expect,
}) => {
  const asked = async (id: string) => {
    const before = door.forwarded.length;
    const { text } = await ask("patient", "patient/*.rs", `Patient/${id}/*?_type=Observation,Condition`);
    const { link: _self, ...bundle } = JSON.parse(text) as Record<string, unknown>;
    return [bundle, door.forwarded.slice(before).map((line) => line.replaceAll(id, "ID"))];
  };
  expect(await asked("ben")).toEqual(await asked("absent"));
});

/** The kind of the token, its scopes, the question, the status, and a part of the text. */
const refusals: readonly (readonly [AskerKind, string, string, number, string])[] = [
  ["user", "user/*.rs", "?_type=Practitioner,Organization", 403, "belong to no patient"],
  ["system", "system/*.rs", "?_count=10", 400, "needs its types"],
  ["system", "system/*.rs", "", 400, "needs its types"],
  ["patient", "patient/*.rs", "?_type=Observation,Condition&value-string=x", 400, "(value-string)"],
  ["patient", "patient/*.rs", "?_type=Observation,Condition&code=x&_sort=code", 400, "(_sort)"],
  ["patient", "patient/*.rs", "?_type=Observation,Condition&patient.name=x", 400, "(patient)"],
  ["patient", "patient/*.rs", "Patient/ann/*?_since=2020-01-01", 400, "(_since)"],
  ["patient", "patient/*.rs", "Patient/ann/*?_type=observation", 400, "(_type)"],
  ["patient", "patient/*.rs", "Patient/ann/*?_type=Practitioner", 403, "belong to no patient"],
  ["patient", "patient/Patient.r", "Patient/ann/*?_type=Patient", 403, "scope"],
  ["patient", "patient/*.rs", "Encounter/e1/*", 400, "(search-compartment)"],
  ["user", "user/*.rs", "Practitioner/vera/Observation", 400, "(search-compartment)"],
];
test.for(refusals)("not permitted: %s %s: %s", async ([kind, scope, path, status, says], { expect }) => {
  const reply = await ask(kind, scope, path);
  expect([reply.status, reply.text]).toEqual([status, expect.stringContaining(says)]);
});
