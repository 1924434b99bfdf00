import { test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { diffPolicies } from "#authoring/diff";
import { narrowPolicy, refusedOf, type PolicyUse } from "#authoring/narrow-policy";
import { narrowedByUse } from "#authoring/review-grant";
import { shownOfLeft } from "#authoring/shown-of-left";
import { UsedAccess } from "#authoring/used-access";
import { instant } from "#kernel/clock";
import { policy, rule } from "../policy/granting.ts";

const day = 20_000;
const at = instant(day * 86_400_000 + 3_600_000);
const now = at + 2 * 86_400_000;
const why = { grant: "app/main/TREAT", purposes: ["TREAT"] };
const nobody = { patients: [], unnamed: [] };

const read = (id: number, more: Partial<AuditEvent> = {}): AuditEvent => ({
  id: String(id).padStart(32, "0"),
  at,
  kind: "disclosure",
  what: { interaction: "read", type: "Patient", id: "amara" },
  why,
  outcome: { status: 200 },
  counts: { Patient: 1 },
  ...nobody,
  ...more,
});

const measurement = (answers: number, ...paths: readonly string[]): AuditEvent => ({
  id: "f".repeat(32),
  at: instant(at + 86_400_000),
  kind: "measurement",
  why,
  measured: {
    day,
    answers,
    elements: Object.fromEntries(paths.map((path) => [path, 1])),
    part: 1,
    parts: 1,
    fill: "",
  },
  counts: {},
  ...nobody,
});

/** One part of a measurement that has two. */
const half = (answers: number, part: number, path: string): AuditEvent => {
  const whole = measurement(answers, path);
  return Object.assign(whole, { measured: Object.assign({}, whole.measured, { part, parts: 2 }) });
};

const useOf = (...events: readonly AuditEvent[]): UsedAccess => {
  const used = new UsedAccess();
  for (const event of events) used.add(event);
  return used;
};

const document = policy(
  rule(["Patient"], ["gender", "birthDate", "name", "identifier[system=http://a].value"]),
);

test("granted elements that never left are dropped, and each decision permits no more than before", ({
  expect,
}) => {
  const used = useOf(read(1), read(2), measurement(2, "Patient.id", "Patient.gender", "Patient.name.family"));
  const narrowed = narrowedByUse(used, document, now);
  expect(narrowed?.dropped).toEqual(
    expect.arrayContaining([
      "Patient: element birthDate",
      "Patient: element identifier[system=http://a].value",
    ]),
  );
  expect(narrowed?.policy.rules.map(({ show }) => show)).toEqual([["gender", "name"]]);
  const changes = diffPolicies(document, narrowed?.policy ?? document).map(({ change }) => change);
  expect([changes.length > 0, changes.every((change) => change === "less")]).toEqual([true, true]);
});

test("elements stay where too few answers were measured, a day is not over, or nothing was measured", ({
  expect,
}) => {
  const answers = Array.from({ length: 20 }, (_, i) => read(i));
  const gender = "Patient.gender";
  const isNarrowed = (used: UsedAccess, time = now) =>
    narrowedByUse(used, document, time)?.dropped.includes("Patient: element birthDate");
  expect(isNarrowed(useOf(...answers, measurement(19, gender))), "95 of 100").toBe(true);
  expect(isNarrowed(useOf(...answers, measurement(18, gender)))).toBe(false);
  expect(isNarrowed(useOf(...answers)), "not measured").toBe(false);
  expect(isNarrowed(useOf(...answers, measurement(20, gender)), at), "the day lasts").toBe(false);
  const others = answers.map((each) =>
    Object.assign({}, each, { at: instant(at - 86_400_000), id: each.id.replace("0", "1") }),
  );
  expect(isNarrowed(useOf(...answers, ...others, measurement(20, gender))), "a day without a record").toBe(
    false,
  );
  const measured = useOf(...answers, measurement(20, gender), measurement(20, gender)).measured(now);
  expect(
    [measured?.counted, measured?.answers, measured?.elements.get(gender)],
    "a record that comes twice",
  ).toEqual([20, 20, 1]);
});

test("a day counts once all its parts were read, and its surplus stands for no different day", ({
  expect,
}) => {
  const counted = (...events: readonly AuditEvent[]) => useOf(...events).measured(now)?.counted;
  const halves = [half(2, 1, "Patient.gender"), half(2, 2, "Patient.id")] as const;
  expect(counted(read(1), read(2), halves[0], halves[0])).toBe(0);
  expect(counted(read(1), read(2), ...halves)).toBe(2);
  const before = read(3, { at: instant(at - 86_400_000) });
  expect(counted(read(1), before, measurement(2, "Patient.gender"))).toBe(1);
});

test("an answer in windows, and a batch, are one answer each", ({ expect }) => {
  const used = useOf(
    read(1, { window: { number: 1, complete: false } }),
    read(1, { window: { number: 2, complete: true }, step: 2 }),
    read(2),
    read(2, { step: 1 }),
    read(3, { counts: {} }),
    read(4, { outcome: { status: 304 } }),
    read(5, { what: { interaction: "read", type: "Patient", id: "amara", method: "HEAD" } }),
    measurement(2, "Patient.gender"),
  );
  expect(used.measured(now)).toMatchObject({ counted: 2, answers: 2 });
});

test("an element by which a client searched stays, though it never left", ({ expect }) => {
  const searched = policy(
    rule(["Patient"], ["gender", "birthDate", "name"], { interactions: ["read", "search"] }),
    rule(["Observation"], ["code", "status", "subject", "note"], { interactions: ["read", "search"] }),
  );
  const use: PolicyUse = {
    types: new Map([
      ["Patient", new Set(["search"])],
      ["Observation", new Set(["search"])],
    ]),
    operations: new Set(),
    requests: ["Patient?birthdate=1990-01-01", "Observation?code=1-1"],
    elements: new Set(["Patient.gender", "Observation.code.coding.code", "Observation.status"]),
  };
  const narrowed = narrowPolicy(searched, use);
  expect(narrowed?.policy.rules.map(({ types, show }) => [types[0], show])).toEqual([
    ["Patient", ["gender", "birthDate", "name"]],
    ["Observation", ["code", "status"]],
  ]);
  expect(refusedOf(narrowed?.policy ?? searched, searched, use)).toEqual([]);
});

test("a rule that writes keeps its elements: they decide what may be written", ({ expect }) => {
  const writing = policy(rule(["Patient"], ["gender", "birthDate"], { interactions: ["read", "create"] }));
  const use = {
    types: new Map([["Patient", new Set(["read", "create"] as const)]]),
    operations: new Set<string>(),
    requests: ["Patient/amara"],
    elements: new Set(["Patient.gender"]),
  };
  expect(narrowPolicy(writing, use)?.dropped).toEqual([]);
});

test("everything becomes the members that left, unless an extension left", ({ expect }) => {
  const { show, hidden } = shownOfLeft(
    "Patient",
    "everything",
    new Set(["Patient.id", "Patient.name.family", "Patient.deceasedBoolean"]),
  );
  expect(show).toEqual(expect.arrayContaining(["name", "deceased[x]", "contained"]));
  expect(show).not.toContain("gender");
  expect(hidden).toContain("element gender");
  const extended = new Set(["Patient.name.family", "Patient.birthDate.extension.url"]);
  expect(shownOfLeft("Patient", "everything", extended).show).toBe("everything");
  expect(shownOfLeft("Patient", "everything", new Set(["Observation.status"])).show).toBe("everything");
  const narrowed = narrowedByUse(
    useOf(read(1), measurement(1, "Patient.id", "Patient.name.family", "Patient.gender")),
    policy(rule(["Patient"], "everything")),
    now,
  );
  expect(narrowed?.policy.rules[0]?.show).toEqual(expect.arrayContaining(["name", "gender"]));
});

test("a choice is one element in each of its forms, and a slice stays if an item of its list left", ({
  expect,
}) => {
  const left = new Set(["Observation.valueQuantity.value", "Observation.identifier.system"]);
  const shown = (path: string) => shownOfLeft("Observation", [path, "status"], left).show;
  expect(shown("value[x]")).toEqual(["value[x]"]);
  expect(shown("valueQuantity.value")).toEqual(["valueQuantity.value"]);
  expect(shown("identifier[system=http://a].system")).toEqual(["identifier[system=http://a].system"]);
  expect(shownOfLeft("Observation", ["valueString", "value[x]"], left).hidden).toEqual([
    "element valueString",
  ]);
});
