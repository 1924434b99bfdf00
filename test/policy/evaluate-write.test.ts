import type { PolicyRule } from "#policy/schema";
import { test } from "vitest";
import type { JsonObject } from "#fhir/json/json";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { parsePolicyDocument, readPublishedPolicy, type PolicyDocument } from "#policy/document";
import { factsFor } from "#policy/facts";
import { evaluateWrite, type PlainWrite, type WriteGrant } from "#policy/evaluate-write";
import { origin, policy, rule } from "./granting.ts";

const to = (reference: string): JsonObject => ({ reference });
const observation = (patient: string, more: JsonObject = {}): JsonObject => ({
  resourceType: "Observation",
  id: "o",
  status: "final",
  subject: to(`Patient/${patient}`),
  ...more,
});
const category = (code: string): JsonObject => ({ category: [{ coding: [{ system: "urn:c", code }] }] });

const document = policy(
  rule(["Observation"], ["status", "subject"], {
    interactions: ["read", "search", "create", "update"],
    where: [{ path: "status", in: ["final"] }],
  }),
  rule(["Observation"], ["status", "subject"], {
    interactions: ["read", "update", "delete"],
    where: [{ path: "status", in: ["preliminary"] }],
  }),
  rule(["Condition"], ["subject"], { interactions: ["create"] }),
  rule(["Patient"], ["name"], { interactions: ["read", "create", "update"] }),
  rule(["Practitioner"], "everything", { interactions: ["read", "update"] }),
  rule(["Medication"], ["code"], { interactions: ["read", "update"] }),
  rule(["Substance"], ["code"], { interactions: ["read"] }),
);

function granted(
  kind: PlainWrite["kind"],
  type: string,
  scope: string,
  patient?: string,
  of: PolicyDocument = document,
): WriteGrant | string {
  const scopes = parseScopes(scope);
  if (!scopes.ok) throw new Error("no scopes");
  const write = { kind, type, id: "o" } as PlainWrite; // of existing types and kinds
  const decision = evaluateWrite(compilePolicy(of, "sha256:test"), { scopes: scopes.value, patient }, write);
  return decision.ok ? decision.value : decision.error.reason;
}
const writes = (grant: WriteGrant | string, row: JsonObject): boolean =>
  typeof grant === "object" && grant.writable(factsFor(grant, row), origin) !== undefined;

test("a write needs a rule and a scope for its interaction; a patch that a row could refuse needs the scope to read as well, and an update and a deletion do not", ({
  expect,
}) => {
  expect(granted("delete", "Patient", "system/*.cruds")).toBe("rule_missing");
  expect(granted("create", "Procedure", "system/*.cruds")).toBe("rule_missing");
  expect(granted("create", "Observation", "system/*.ruds")).toBe("scope_insufficient");
  expect(granted("update", "Observation", "system/*.crds")).toBe("scope_insufficient");
  expect(granted("patch", "Observation", "system/*.crds")).toBe("scope_insufficient");
  expect(granted("delete", "Observation", "system/*.crus")).toBe("scope_insufficient");
  for (const [scope, isRead] of [
    ["system/*.cud", false],
    ["system/*.crud", true],
  ] as const) {
    const grant = granted("patch", "Observation", scope);
    expect(typeof grant === "object" && [grant.mayReadSome, grant.isTakenByEachRow([])]).toEqual([
      isRead,
      true,
    ]);
    expect(
      typeof grant === "object" && grant.isTakenByEachRow([{ op: "test", path: ["status"], value: "final" }]),
    ).toBe(false);
  }
  for (const kind of ["create", "update", "delete"] as const)
    expect(typeof granted(kind, "Observation", "system/*.cud"), kind).toBe("object");
  for (const kind of ["create", "update", "patch", "delete"] as const)
    expect(typeof granted(kind, "Observation", "system/*.crud"), kind).toBe("object");
  expect(typeof granted("create", "Condition", "system/*.c")).toBe("object");
});

test("a row is written by a rule for that very interaction which reaches it, and no label is passed over", ({
  expect,
}) => {
  const [update, remove] = [
    granted("update", "Observation", "system/*.rud"),
    granted("delete", "Observation", "system/*.rud"),
  ];
  const preliminary = observation("amara", { status: "preliminary" });
  expect([
    writes(update, observation("amara")),
    writes(update, preliminary),
    writes(update, observation("amara", { status: "entered-in-error" })),
  ]).toEqual([true, true, false]);
  expect([writes(remove, observation("amara")), writes(remove, preliminary)]).toEqual([false, true]);
  const labelled = observation("amara", {
    meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }] },
  });
  expect(writes(update, labelled)).toBe(false);
});

test("under a patient's scope only that patient's rows are written, no row of a different or an uncertain owner", ({
  expect,
}) => {
  for (const kind of ["create", "update"] as const) {
    const grant = granted(kind, "Observation", "patient/*.cru", "amara");
    expect(writes(grant, observation("amara"))).toBe(true);
    expect(writes(grant, observation("bela"))).toBe(false);
    expect(writes(grant, observation("amara2"))).toBe(false);
    expect(
      writes(grant, { resourceType: "Observation", status: "final", performer: [to("Patient/bela")] }),
    ).toBe(false);
    expect(writes(grant, { resourceType: "Observation", status: "final", subject: to("#p") })).toBe(false);
    // a token without a patient
    expect(granted(kind, "Observation", "patient/*.cru")).toBe("scope_insufficient");
  }
  expect(
    writes(granted("create", "Patient", "patient/*.c", "amara"), { resourceType: "Patient" }),
    "no patient is one before it has an id",
  ).toBe(false);
  expect(granted("update", "Practitioner", "patient/*.ru", "amara")).toBe("outside_patient_compartment");
  expect(granted("update", "Practitioner", "patient/*.u system/*.r", "amara")).toBe(
    "outside_patient_compartment",
  );
  expect(typeof granted("update", "Practitioner", "system/*.u patient/*.r", "amara")).toBe("object");
});

test("a scope by category limits the stored row and the result to that category", ({ expect }) => {
  const grant = granted(
    "update",
    "Observation",
    "system/Observation.r system/Observation.u?category=urn:c|lab",
  );
  expect(writes(grant, observation("amara", category("lab")))).toBe(true);
  expect(writes(grant, observation("amara", category("exam")))).toBe(false);
  expect(writes(grant, observation("amara"))).toBe(false);
});

test("a contained resource is written by a rule to write its own type", ({ expect }) => {
  const grant = granted("update", "Observation", "system/*.ru");
  if (typeof grant === "string") throw new Error(grant);
  const inside = (resource: JsonObject) =>
    grant.writableInside(factsFor(grant, resource), origin, "contained");
  expect(inside({ resourceType: "Medication", id: "m" })?.object.elements.has("code")).toBe(true);
  expect(inside({ resourceType: "Substance", id: "s" }), "that it may be read is not enough").toBeUndefined();
  expect(inside({ resourceType: "Condition", id: "c" })).toBeUndefined();
});

test("a policy that could overwrite or delete hidden elements is not published", ({ expect }) => {
  const of = (...interactions: PolicyRule["interactions"]) =>
    parsePolicyDocument(policy(rule(["Patient"], "everything", { interactions })));
  expect(of("create", "update")).toMatchObject({ error: { pointer: "/rules/0/interactions/1" } });
  expect(of("delete")).toMatchObject({ error: { pointer: "/rules/0/interactions/0" } });
  expect(of("create").ok).toBe(true);
  expect(of("read", "update", "delete").ok).toBe(true);
});

test("a link is written to a Patient that its writer may read, or a create may make: to any with the whole system's scope", ({
  expect,
}) => {
  const links = (kind: PlainWrite["kind"], scope: string, patient?: string) => {
    const grant = granted(kind, "Patient", scope, patient);
    if (typeof grant === "string") throw new Error(grant);
    return ["amara", "bob"].map((id) => grant.mayLinkTo(to(`Patient/${id}`), origin));
  };
  expect(links("update", "system/*.rud")).toEqual([true, true]);
  expect(links("create", "system/*.c")).toEqual([true, true]);
  expect(links("update", "patient/*.rud", "amara")).toEqual([true, false]);
  expect(links("create", "patient/*.c", "amara")).toEqual([true, false]);
  const anonymous = granted("update", "Patient", "patient/*.rud", "amara");
  expect(typeof anonymous === "object" && anonymous.mayLinkTo({ display: "bob" }, origin)).toBe(false);
  const observations = granted("create", "Observation", "patient/Observation.c", "amara");
  expect(
    typeof observations === "object" && observations.mayLinkTo(to("Patient/amara"), origin),
    "no Patient is in reach",
  ).toBe(false);
});

test("P9: a rule deletes only rows that it shows as a whole, unless it says that hidden elements are deleted too", ({
  expect,
}) => {
  const of = (show: PolicyRule["show"], more: Partial<PolicyRule> = {}) => {
    const read = parsePolicyDocument(
      policy(rule(["Patient"], show, { interactions: ["read", "delete"], ...more })),
    );
    return read.ok ? "published" : `${read.error.pointer} ${read.error.problem}`;
  };
  expect(of(["name"])).toMatch(/^\/rules\/0\/interactions\/1 would destroy elements that the view hides/u);
  expect(of("everything")).toBe("published");
  expect(of(["name"], { deletes: "unseen" })).toBe("published");
  expect(of(["name"], { deletes: "unseen", interactions: ["read", "search"] })).toBe(
    "/rules/0/deletes the rule does not grant delete: add it to interactions, or remove deletes",
  );
  expect(of("everything", { deletes: "all" as never })).toMatch(/^\/rules\/0\/deletes /u);
});

test("a policy of an earlier version grants its safe interactions and none of its unsafe writes", async ({
  expect,
}) => {
  const earlier = policy(
    rule(["Patient"], ["name"], { interactions: ["read", "search", "delete"] }),
    rule(["Encounter"], ["status", "class", "period.start"], { interactions: ["read", "create", "update"] }),
    rule(["Location"], "everything", { interactions: ["read", "update", "delete"] }),
  );
  expect(parsePolicyDocument(earlier).ok).toBe(false);
  const read = readPublishedPolicy(earlier);
  const granted = read.ok ? compilePolicy(read.value, "sha256:test") : undefined;
  const interactions = (type: string) => [...(granted?.rulesFor(type)[0]?.interactions ?? [])];
  expect(interactions("Patient")).toEqual(["read", "search"]);
  expect(interactions("Encounter")).toEqual(["read", "create"]);
  expect(interactions("Location")).toEqual(["read", "update", "delete"]);
});
