import { test } from "vitest";
import { readCriteria } from "#fhir/interaction";
import { findByCriteria } from "#gateway/change/plan/write-criteria";
import { RelatedPatients } from "#fhir/r4/related-patients";
import { parseScopes } from "#identity/scopes";
import { ok } from "#kernel/result";
import { compilePolicy } from "#policy/compile";
import { policy, rule } from "../../../policy/granting.ts";
import { sessionOf } from "../../../support/origin-session.ts";

async function* body(text: string) {
  yield ok(new TextEncoder().encode(text));
}

test("how many hidden rows an origin has does not decide whether criteria find one", async ({ expect }) => {
  const row = (id: string, of: string) => ({
    resourceType: "Observation",
    id,
    subject: { reference: `Patient/${of}` },
  });
  const find = async (rows: readonly object[]) => {
    const [scopes, criteria] = [
      parseScopes("patient/*.rs"),
      readCriteria("Observation", [{ name: "subject", value: "Patient/amara" }]),
    ];
    if (!scopes.ok || !criteria.ok) throw new Error("a test's own mistake");
    const text = JSON.stringify({
      resourceType: "Bundle",
      type: "searchset",
      link: [{ relation: "self", url: "Observation" }],
      entry: rows.map((resource) => ({ resource })),
    });
    const found = await findByCriteria(
      criteria.value,
      {
        policy: compilePolicy(policy(rule(["Observation"], "everything")), "sha256:test"),
        access: { scopes: scopes.value, patient: "amara" },
      },
      sessionOf(async () => ok({ kind: "answered", base: "https://origin.internal/fhir", body: body(text) })),
    );
    return found.ok ? found.value : found.error.reason;
  };
  const many = (of: string) => Array.from({ length: 1_500 }, (_, n) => row(`o${n}`, of));
  expect(await find(many("bela"))).toBeUndefined();
  expect(await find([...many("bela"), row("hers", "amara")])).toBe("hers");
  expect(await find(many("amara"))).toBe("too_many_rows");
});

test("criteria are refused if a row is not judged because it refers to more patients than a request follows", async ({
  expect,
}) => {
  const [scopes, criteria] = [
    parseScopes("user/*.rs"),
    readCriteria("Observation", [{ name: "status", value: "final" }]),
  ];
  if (!scopes.ok || !criteria.ok) throw new Error("a test's own mistake");
  const related = new RelatedPatients();
  related.learn(["amara"], new Set(["amara"]));
  related.name(["amara"]);
  const permission = {
    policy: compilePolicy(policy(rule(["Observation"], "everything")), "sha256:test"),
    access: { scopes: scopes.value, patient: undefined, usersPatients: related },
  };
  const find = async (isFollowed: boolean) => {
    const entry = ["bela", "amara"].map((of) => ({
      resource: {
        resourceType: "Observation",
        id: of,
        status: "final",
        subject: { reference: `Patient/${of}` },
      },
    }));
    const text = JSON.stringify({ resourceType: "Bundle", type: "searchset", entry });
    const session = sessionOf(async () =>
      ok({ kind: "answered", base: "https://origin.internal/fhir", body: body(text) }),
    );
    session.resolve = async (rows) => ok(new Set(isFollowed ? [] : rows.keys()));
    const found = await findByCriteria(criteria.value, permission, session);
    return found.ok ? found.value : found.error.reason;
  };
  expect(await find(true)).toBe("amara");
  expect(await find(false)).toBe("too_many_rows");
});
