import { test } from "vitest";
import type { JsonObject } from "#fhir/json";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { parsePolicyDocument, type PolicyDocument } from "#policy/document";
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
  const write = { kind, type, id: "o" } as PlainWrite; // of types and kinds that there are
  const decision = evaluateWrite(compilePolicy(of, "sha256:test"), { scopes: scopes.value, patient }, write);
  return decision.ok ? decision.value : decision.error.reason;
}
const writes = (grant: WriteGrant | string, row: JsonObject): boolean =>
  typeof grant === "object" && grant.writable(row, origin) !== undefined;

test("a write needs a rule and a scope for its interaction; a change and a deletion need the right to read as well", ({ expect }) => {
  expect(granted("delete", "Patient", "system/*.cruds")).toBe("rule_missing");
  expect(granted("create", "Procedure", "system/*.cruds")).toBe("rule_missing");
  expect(granted("create", "Observation", "system/*.ruds")).toBe("scope_insufficient");
  expect(granted("update", "Observation", "system/*.crds")).toBe("scope_insufficient");
  expect(granted("patch", "Observation", "system/*.crds")).toBe("scope_insufficient");
  expect(granted("delete", "Observation", "system/*.crus")).toBe("scope_insufficient");
  for (const kind of ["update", "patch", "delete"] as const)
    expect(granted(kind, "Observation", "system/*.cud"), kind).toBe("scope_insufficient");
  for (const kind of ["create", "update", "patch", "delete"] as const)
    expect(typeof granted(kind, "Observation", "system/*.crud"), kind).toBe("object");
  expect(typeof granted("create", "Condition", "system/*.c")).toBe("object");
});

test("a row is written by a rule for that very interaction which reaches it, and no label is passed over", ({ expect }) => {
  const [update, remove] = [granted("update", "Observation", "system/*.rud"), granted("delete", "Observation", "system/*.rud")];
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

test("under a patient's scope only that patient's rows are written, none of another and none that nobody can tell", ({ expect }) => {
  for (const kind of ["create", "update"] as const) {
    const grant = granted(kind, "Observation", "patient/*.cru", "amara");
    expect(writes(grant, observation("amara"))).toBe(true);
    expect(writes(grant, observation("bela"))).toBe(false);
    expect(writes(grant, observation("amara2"))).toBe(false);
    expect(writes(grant, { resourceType: "Observation", status: "final", performer: [to("Patient/bela")] })).toBe(false);
    expect(writes(grant, { resourceType: "Observation", status: "final", subject: to("#p") })).toBe(false);
    expect(granted(kind, "Observation", "patient/*.cru")).toBe("scope_insufficient"); // a token without a patient
  }
  expect(
    writes(granted("create", "Patient", "patient/*.c", "amara"), { resourceType: "Patient" }),
    "no patient is one before it has an id",
  ).toBe(false);
  expect(granted("update", "Practitioner", "patient/*.ru", "amara")).toBe("outside_patient_compartment");
  expect(granted("update", "Practitioner", "system/*.u patient/*.r", "amara"), "nor by the right to change it beside one to read").toBe(
    "outside_patient_compartment",
  );
});

test("a scope by category holds what is stored and what becomes of it to that category", ({ expect }) => {
  const grant = granted("update", "Observation", "system/Observation.r system/Observation.u?category=urn:c|lab");
  expect(writes(grant, observation("amara", category("lab")))).toBe(true);
  expect(writes(grant, observation("amara", category("exam")))).toBe(false);
  expect(writes(grant, observation("amara"))).toBe(false);
});

test("what is contained is written by a rule to write its own type", ({ expect }) => {
  const grant = granted("update", "Observation", "system/*.ru");
  if (typeof grant === "string") throw new Error(grant);
  expect(grant.writableInside({ resourceType: "Medication", id: "m" }, origin)?.object.elements.has("code")).toBe(true);
  expect(grant.writableInside({ resourceType: "Substance", id: "s" }, origin), "that it may be read is not enough").toBeUndefined();
  expect(grant.writableInside({ resourceType: "Condition", id: "c" }, origin)).toBeUndefined();
});

test("a policy that would have overwritten or deleted what may not be read is not published", ({ expect }) => {
  const of = (...interactions: ("read" | "create" | "update" | "delete")[]) =>
    parsePolicyDocument(
      policy(rule(["Patient"], ["name"], { interactions, examples: [{ says: "It is refused.", request: "Patient/1", is: "refused" }] })),
    );
  expect(of("create", "update")).toMatchObject({ error: { pointer: "/rules/0/interactions/1" } });
  expect(of("delete")).toMatchObject({ error: { pointer: "/rules/0/interactions/0" } });
  expect(of("create").ok).toBe(true);
  expect(of("read", "update", "delete").ok).toBe(true);
});
