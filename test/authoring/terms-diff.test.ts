import { expect, test } from "vitest";
import { diffLines } from "#authoring/diff-lines";
import { diffPolicies } from "#authoring/diff";
import { openings } from "#authoring/openings";
import { planLines } from "#authoring/plan-lines";
import { policySchema, type PolicyDocument, type PolicyRule } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";
import { nothingThere } from "./nothing-there.ts";

const around = { ...nothingThere, operatorIssuers: new Set<string>() };

/** Answers whether one person may move a grant from the first policy to the second. */
function moves(before: PolicyDocument, after: PolicyDocument): "opens" | "narrows" {
  const policies = { before, after };
  const change = { before: { policy: "before" }, after: { policy: "after" } };
  return openings([{ kind: "grant", name: "it", ...change }], policies, around).length > 0
    ? "opens"
    : "narrows";
}

const why = "The clause of a test.";
const first = rule(["Observation"], ["status", "subject"]);
const whole = policy(first);
const withRule = (more: Partial<PolicyRule>) => policy({ ...first, ...more });
const leave = (...labels: string[]) => ({ ...whole, labels: { leave: [{ labels, why }] } });

const form = {
  kind: "safe-harbor",
  dataSet: "first",
  noActualKnowledge: { statedBy: "The privacy officer", on: "2026-01-01" },
} as const;
const searched = policy({ ...first, search: ["status"] });

/** For each field a policy that differs in it, and which way one person may go. */
type Sample = readonly [PolicyDocument, PolicyDocument, "narrows" | "opens", "narrows" | "opens"];
const samplesOf: Readonly<Record<keyof PolicyDocument, readonly Sample[] | "words">> = {
  format: "words",
  name: "words",
  title: "words",
  purposes: [[whole, { ...whole, purposes: ["TREAT", "HPAYMT"] }, "opens", "narrows"]],
  users: [[whole, { ...whole, users: ["panel"] }, "opens", "narrows"]],
  operations: [[whole, { ...whole, operations: ["validate"] }, "opens", "narrows"]],
  namesBeyondAccess: [
    [whole, { ...whole, namesBeyondAccess: 21 }, "opens", "narrows"],
    [{ ...whole, namesBeyondAccess: 0 }, { ...whole, namesBeyondAccess: 20 }, "opens", "narrows"],
  ],
  consentRegistrar: [[whole, { ...whole, consentRegistrar: true }, "opens", "narrows"]],
  amendmentRegistrar: [[whole, { ...whole, amendmentRegistrar: true }, "opens", "narrows"]],
  consent: [
    [whole, { ...whole, consent: { base: "honoured" } }, "opens", "narrows"],
    [whole, { ...whole, consent: { base: "required" } }, "narrows", "opens"],
    [
      { ...whole, consent: { base: "required" } },
      { ...whole, consent: { base: "honoured" } },
      "opens",
      "narrows",
    ],
    [whole, { ...whole, consent: { combining: "most-recent" } }, "opens", "opens"],
    [whole, { ...whole, consent: { api: "provider-access" } }, "opens", "opens"],
  ],
  labels: [
    [whole, leave("HIV"), "opens", "narrows"],
    [leave("R"), leave("HIV"), "opens", "opens"],
    [
      { ...whole, labels: { leave: [{ labels: ["HIV"], purposes: ["TREAT"], why }] } },
      leave("HIV"),
      "opens",
      "opens", // not known to be narrower: each label is compared with its purpose
    ],
    [whole, { ...whole, labels: { part2: true } }, "opens", "narrows"],
    [whole, { ...whole, labels: { fromCodes: true } }, "narrows", "opens"],
    [whole, { ...whole, labels: { throughReferences: true } }, "narrows", "opens"],
    [
      { ...whole, labels: { fromCodes: true } },
      { ...whole, labels: { fromCodes: true, throughReferences: false } },
      "opens",
      "narrows",
    ],
  ],
  form: [
    [searched, { ...searched, form }, "narrows", "opens"],
    [{ ...searched, form }, { ...searched, form: { ...form, dataSet: "second" } }, "opens", "opens"],
  ],
  dataPeriod: [[whole, { ...whole, dataPeriod: { years: 1 } }, "opens", "opens"]],
  rules: [[whole, policy(first, rule(["Patient"], ["gender"])), "opens", "narrows"]],
};

const where = [{ path: "status", in: ["final"] }];
const samplesOfRule: Readonly<Record<keyof PolicyRule, Sample | "words">> = {
  types: [
    whole,
    withRule({ types: ["Observation", "Encounter"], show: ["status", "subject"] }),
    "opens",
    "narrows",
  ],
  interactions: [whole, withRule({ interactions: ["read"] }), "narrows", "opens"],
  where: [whole, withRule({ where }), "narrows", "opens"],
  show: [whole, withRule({ show: ["status"] }), "narrows", "opens"],
  extensions: [whole, withRule({ extensions: ["urn:e"] }), "opens", "narrows"],
  deletes: [whole, withRule({ deletes: "unseen" }), "opens", "opens"], // such a policy is not valid
  search: [whole, withRule({ search: ["status"] }), "narrows", "opens"],
  referredBy: [
    policy(rule(["Practitioner"], ["gender"], { interactions: ["read"] })),
    policy(
      rule(["Practitioner"], ["gender"], { interactions: ["read"], referredBy: ["Observation:performer"] }),
    ),
    "opens",
    "narrows",
  ],
  refersTo: [
    policy(rule(["PractitionerRole"], ["specialty"], { interactions: ["read"] })),
    policy(
      rule(["PractitionerRole"], ["specialty"], {
        interactions: ["read"],
        refersTo: ["PractitionerRole:practitioner"],
      }),
    ),
    "opens",
    "narrows",
  ],
  consent: [whole, withRule({ consent: { base: "required" } }), "narrows", "opens"],
  why: "words",
  examples: "words",
};

const samples = [
  ...Object.entries(samplesOf).flatMap(([field, all]) =>
    all === "words" ? [] : all.map((sample) => [field, ...sample] as const),
  ),
  ...Object.entries(samplesOfRule).flatMap(([field, sample]) =>
    sample === "words" ? [] : [[`rules: ${field}`, ...sample] as const],
  ),
];

test.for(samples)("policies that differ in %s are never the same", ([, one, other, there, back]) => {
  expect(diffPolicies(one, other).length, "a difference is listed").toBeGreaterThan(0);
  expect(diffPolicies(other, one).length, "and on the way back").toBeGreaterThan(0);
  expect([moves(one, other), moves(other, one)]).toEqual([there, back]);
});

test("each field of the published schema is in these tables", () => {
  expect(Object.keys(policySchema.shape).sort()).toEqual(Object.keys(samplesOf).sort());
  expect(Object.keys(policySchema.shape.rules.def.element.shape).sort()).toEqual(
    Object.keys(samplesOfRule).sort(),
  );
});

test("a field of a later version, wherever it stands, is not known to permit less", () => {
  const later = <T extends object>(value: T): T => Object.assign({}, value, { aFieldOfALaterVersion: true });
  const empty: PolicyDocument = { ...whole, consent: {}, labels: {} };
  const all: readonly (readonly [PolicyDocument, PolicyDocument])[] = [
    [whole, later(whole)],
    [whole, policy(later(first))],
    [empty, { ...empty, consent: later({}) }],
    [empty, { ...empty, labels: later({}) }],
    [withRule({ consent: {} }), withRule({ consent: later({}) })],
  ];
  for (const [one, other] of all)
    for (const differences of [diffPolicies(one, other), diffPolicies(other, one)])
      expect(differences.some(({ change, what }) => change === "more" && what === "term")).toBe(true);
});

test("rules with different terms of consent: only the same rules are the same", () => {
  const strict = { ...first, consent: { base: "required" } } satisfies PolicyRule;
  const [both, one] = [policy(first, strict), policy(first)];
  // An element with labels of its own needs the leave of each rule.
  expect(moves(both, one)).toBe("opens");
  expect(diffPolicies(both, policy(strict, first))).toEqual([]);
});

test("plan, proposal and `policy diff` say the terms in words", () => {
  const open: PolicyDocument = {
    ...whole,
    consentRegistrar: true,
    consent: { base: "honoured" },
    labels: { leave: [{ labels: ["HIV"], why }], part2: true },
  };
  const strict: PolicyDocument = { ...whole, consent: { base: "required" }, labels: { fromCodes: true } };
  const change = { before: { policy: "strict" }, after: { policy: "open" } };
  const lines = diffLines(diffPolicies(strict, open));
  expect(lines).toEqual([
    "the policy",
    "  + consent that the client writes may permit (registrar), base honoured: rows that no Consent permits",
    "  + label HIV for every purpose, 42CFRPart2 where a Consent or leave permits, not read from codes, not read from references",
  ]);
  const plan = planLines([{ kind: "grant", name: "it", ...change }], { strict, open }).join("\n");
  for (const line of lines) expect(plan).toContain(line.trim());
});
