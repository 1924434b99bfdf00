import { test } from "vitest";
import { RowBarrier } from "#fhir/row-barrier";
import { utf8 } from "#kernel/encoded";
import { Discloser } from "#phi/disclose";
import type { Grant } from "#policy/grant";
import { policy, rule } from "../../policy/granting.ts";
import { bases, grantUnder } from "../consented.ts";

// Rows that meet the same conditions of rules share a decision, and a row's work is its own all the same.

const document = policy(
  rule(["Observation"], "everything", {
    where: [
      { path: "code", notIn: ["urn:s|hidden"] },
      { path: "code", notIn: ["urn:s|hidden too"] },
      { path: "component.code", notIn: ["urn:s|hidden"] },
    ],
  }),
);
const coded = (...codes: readonly string[]) => ({
  coding: codes.map((code) => ({ system: "urn:s", code, display: `the code ${code}` })),
});
const many = <T>(length: number, make: (index: number) => T): readonly T[] =>
  Array.from({ length }, (_item, index) => make(index));

function disclosing(request: string, seen: (grant: Grant) => Grant = (grant) => grant) {
  const barrier = new RowBarrier();
  const grant = seen(grantUnder({ policy: document, consents: [] }, request));
  const page = new Discloser(grant, { ...bases, barrier });
  const kindOf = (id: string, more: object): string => {
    const resource = { resourceType: "Observation", id, status: "final", ...more };
    const found = page.entry(utf8(JSON.stringify({ resource, search: { mode: "match" } })), "Observation");
    return found.ok ? found.value.kind : found.error.reason;
  };
  return { kindOf, barrier };
}

test("rows of different codes that meet the same conditions are decided once", ({ expect }) => {
  let decisions = 0;
  const { kindOf } = disclosing("Observation", (grant) => ({
    ...grant,
    viewOf: (...given) => {
      decisions += 1;
      return grant.viewOf(...given);
    },
  }));
  const subject = { reference: "Patient/a" };
  for (let row = 0; row < 200; row += 1)
    expect(kindOf(`r${row}`, { subject, code: coded(`c${row % 150}`) })).toBe("match");
  expect(kindOf("h1", { subject, code: coded("c1", "hidden") })).toBe("hidden");
  expect(kindOf("h2", { subject, code: coded("hidden too") })).toBe("hidden");
  expect(kindOf("h3", { subject, code: { coding: [{ code: "HIDDEN" }] } })).toBe("hidden");
  expect(kindOf("text", { subject, code: { text: "hidden" } })).toBe("match");
  expect(kindOf("none", { subject })).toBe("match");
  expect(kindOf("unclear", { subject, code: "hidden" })).toBe("hidden");
  expect(decisions).toBeLessThan(10);
});

test("a condition on a member below reads that member, of each item", ({ expect }) => {
  const { kindOf } = disclosing("Observation");
  const components = (code: string) => [{ code: coded("x"), valueString: "y" }, { code: coded(code, "z") }];
  for (const [code, kind] of [
    ["shown", "match"],
    ["hidden", "hidden"],
    ["another", "match"],
  ] as const)
    expect(kindOf(code, { component: components(code) })).toBe(kind);
});

test("a row is hidden for its own work, whatever rows with a part of it came before", ({ expect }) => {
  const performer = many(15_000, (index) => ({ reference: `Practitioner/p${index}` }));
  const [cheap, dear] = [coded("c"), { coding: many(25_000, (index) => ({ code: `c${index}` })) }];
  const rows = { one: { performer, code: cheap }, other: { code: dear }, both: { performer, code: dear } };
  const request = "Observation?performer=Practitioner/p0,Practitioner/q";
  const kindsOf = (...names: readonly (keyof typeof rows)[]) => {
    const { kindOf, barrier } = disclosing(request);
    const kinds = names.map((name, index) => kindOf(`${name}${index}`, rows[name]));
    return { kinds, unjudged: barrier.unjudged };
  };
  expect(kindsOf("both", "one", "both")).toEqual({ kinds: ["hidden", "match", "hidden"], unjudged: 2 });
  expect(kindsOf("one", "both", "one")).toEqual({ kinds: ["match", "hidden", "match"], unjudged: 1 });
  // it is hidden for the search alone, and its codes cost no more than a share
  expect(kindsOf("other", "one")).toEqual({ kinds: ["hidden", "match"], unjudged: 0 });
});

test("a row whose share is spent is judged by one engine", ({ expect }) => {
  let asked = 0;
  const { kindOf, barrier } = disclosing("Observation", (grant) => ({
    ...grant,
    conditionsMet: (...given) => {
      asked += 1;
      return grant.conditionsMet(...given);
    },
    viewOf: (...given) => {
      asked += 1;
      return grant.viewOf(...given);
    },
  }));
  expect(kindOf("dear", { code: { coding: many(70_000, (index) => ({ code: `c${index}` })) } })).toBe(
    "hidden",
  );
  expect([asked, barrier.unjudged]).toEqual([1, 1]);
});
