import * as fc from "fast-check";
import { test } from "vitest";
import { r4Owners } from "#fhir/r4/compartment-tables";
import { isResourceType } from "#fhir/r4/elements";
import { RelatedPatients } from "#fhir/r4/related-patients";
import { searchParametersOf } from "#fhir/search/parameters";
import type { PolicyRule } from "#policy/schema";
import { factsFor } from "#policy/facts";
import { accessParameters } from "#policy/row-access";
import { decide, grant, origin, policy, rule } from "./granting.ts";

const types = ["Patient", "Observation", "Appointment", "Practitioner", "Coverage", "Encounter"] as const;
const all = policy(rule([...types], "everything"));
const held = (request: string, scope = "patient/*.rs") => grant(all, request, scope, "amara");
const to = (reference: string) => ({ reference });
const queryOf = ({ ask }: ReturnType<typeof grant>) =>
  "query" in ask ? decodeURIComponent(ask.query).replace(/&?_count=\d+$/u, "") : "";

test("a search under a patient's scope is narrowed to the patient, beside whatever the client asks", ({
  expect,
}) => {
  expect(queryOf(held("Observation"))).toBe("patient=Patient/amara");
  expect(queryOf(held("Observation?code=a&patient=bela"))).toBe("code=a&patient=bela&patient=Patient/amara");
  expect(queryOf(held("Patient"))).toBe("_id=amara");
  expect(queryOf(held("Patient?_id=bela"))).toBe("_id=bela&_id=amara");
  expect(queryOf(held("Appointment"))).toBe("patient=Patient/amara");
  expect(queryOf(held("Coverage"))).toBe("patient=Patient/amara");
  expect(queryOf(grant(all, "Observation?code=a", "system/*.rs", "amara"))).toBe("code=a");
  for (const own of ["patient=amara", "patient=Patient/amara", "subject=Patient/amara"]) {
    expect(queryOf(held(`Observation?${own}`)), "said once").toBe(own);
  }
  for (const wider of [
    "patient=amara,bela",
    "subject=amara",
    "subject=Device/amara",
    "performer=Patient/amara",
    "_id=amara",
  ]) {
    expect(queryOf(held(`Observation?${wider}`)), wider).toBe(`${wider}&patient=Patient/amara`);
  }
});

test("a search by id is not narrowed to the token's patient if further patients may be the user's", ({
  expect,
}) => {
  const definition = searchParametersOf("Observation").get("_id");
  if (definition === undefined) throw new Error("R4 has it");
  const byId = { definition, values: [{ kind: "token" as const, text: "o", system: undefined, code: "o" }] };
  const [ofToken, ofUser] = [
    { owners: new Set(["amara"]), filters: [] },
    { owners: new RelatedPatients(), filters: [] },
  ];
  expect(accessParameters([ofToken, ofUser], "Observation", [byId])).toEqual([]);
  expect(accessParameters([ofToken], "Observation", [byId])).toHaveLength(1);
  ofUser.owners.learnWhole(["bela"]);
  expect(accessParameters([ofToken, ofUser], "Observation", [byId])).toHaveLength(1);
});

test("a compartment of a patient beyond the access costs one question: no row of a participant is sought", ({
  expect,
}) => {
  const partsOf = (patient: string) => {
    const { expects } = held(`Patient/${patient}/Observation`);
    return expects.kind === "search" ? expects.further.length : undefined;
  };
  expect([partsOf("amara"), partsOf("bela")]).toEqual([1, 0]);
});

test("every type of the compartment has a search parameter for its owner", ({ expect }) => {
  for (const type of ["Patient", ...Object.keys(r4Owners)]) {
    expect(
      isResourceType(type) && accessParameters([{ owners: new Set(["amara"]), filters: [] }], type, []),
      type,
    ).toMatchObject([{ values: [{ kind: type === "Patient" ? "token" : "reference" }] }]);
  }
});

test("the client's parameters are only those of the client's question", ({ expect }) => {
  expect(held("Observation?code=a").clientParameters.map(({ definition }) => definition.code)).toEqual([
    "code",
  ]);
});

test("every row is judged again, read or found: only the patient's has a view", ({ expect }) => {
  for (const request of ["Observation/1", "Observation?code=a"]) {
    const { viewOf } = held(request);
    expect(viewOf({ resourceType: "Observation", subject: to("Patient/amara") })).toBeDefined();
    expect(viewOf({ resourceType: "Observation", subject: to(`${origin}/Patient/amara`) })).toBeDefined();
    expect(viewOf({ resourceType: "Observation", subject: to("Patient/bela") })).toBeUndefined();
    expect(viewOf({ resourceType: "Observation" })).toBeUndefined();
  }
  expect(held("Patient/amara").viewOf({ resourceType: "Patient", id: "amara" })).toBeDefined();
  expect(held("Patient/bela").viewOf({ resourceType: "Patient", id: "bela" })).toBeUndefined();
});

test("types that are no patient's are refused from the type alone, and need a system scope", ({ expect }) => {
  expect(decide(all, "Practitioner/1", "patient/*.rs", "amara")).toEqual({
    reason: "outside_patient_compartment",
    type: "Practitioner",
  });
  expect(decide(all, "Practitioner", "patient/*.rs", "amara")).toMatchObject({
    reason: "outside_patient_compartment",
  });
  expect(decide(all, "Practitioner/1", "patient/*.rs system/Practitioner.r", "amara")).toHaveProperty("ask");
  expect(decide(all, "Practitioner", "patient/*.rs system/Practitioner.r", "amara")).toMatchObject({
    reason: "outside_patient_compartment",
  });
});

test("a patient's scope without a patient permits nothing", ({ expect }) => {
  expect(decide(all, "Observation/1", "patient/*.rs")).toMatchObject({ reason: "scope_insufficient" });
});

test("a resource inside goes with its container, unless it is another patient's, or the container may be anybody's", ({
  expect,
}) => {
  const { viewInside } = held("Encounter/1");
  expect(viewInside({ resourceType: "Practitioner", id: "p" })).toBeDefined();
  expect(viewInside({ resourceType: "Patient", id: "p" })).toBeDefined();
  expect(viewInside({ resourceType: "Observation", id: "o", subject: to("#p") })).toBeDefined();
  expect(viewInside({ resourceType: "Observation", id: "o", subject: to("Patient/bela") })).toBeUndefined();
  const wide = grant(all, "Encounter/1", "system/Encounter.r patient/Observation.r", "amara");
  expect(
    wide.viewInside({ resourceType: "Observation", id: "o", subject: to("Patient/amara") }),
  ).toBeUndefined();
});

test("taking a scope away, or holding it to the patient, never lets a row through that was kept", ({
  expect,
}) => {
  const scopes = [
    "system/*.rs",
    "system/Observation.r",
    "patient/*.rs",
    "patient/Observation.r",
    "patient/Coverage.s",
  ] as const;
  const resources = [
    { resourceType: "Observation", subject: to("Patient/amara") },
    { resourceType: "Observation", subject: to("Patient/bela") },
    { resourceType: "Observation", performer: [to("Patient/amara")] },
    { resourceType: "Observation", subject: to("#p") },
  ];
  const leaves = (request: string, scope: readonly string[], resource: (typeof resources)[number]) => {
    const decision = decide(
      policy(rule(["Observation"] satisfies PolicyRule["types"], "everything")),
      request,
      scope.join(" "),
      "amara",
    );
    return !("reason" in decision) && decision.viewOf(factsFor(decision, resource), origin) !== undefined;
  };
  fc.assert(
    fc.property(
      fc.subarray([...scopes], { minLength: 2 }),
      fc.constantFrom("Observation/1", "Observation"),
      fc.constantFrom(...resources),
      fc.nat(),
      (some, request, resource, at) => {
        const fewer = some.filter((_scope, index) => index !== at % some.length);
        const heldTo = some.map((scope) => scope.replace("system/", "patient/"));
        if (!leaves(request, some, resource)) {
          expect(leaves(request, fewer, resource)).toBe(false);
          expect(leaves(request, heldTo, resource)).toBe(false);
        }
        if (JSON.stringify(resource).includes("bela")) expect(leaves(request, heldTo, resource)).toBe(false);
      },
    ),
  );
});
