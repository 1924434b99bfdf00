import * as fc from "fast-check";
import { test } from "vitest";
import { elementsOf } from "#fhir/r4/elements";
import type { PolicyDocument } from "#policy/schema";
import { policy, rule } from "../policy/granting.ts";
import { basesOfAnswer, disclose } from "./disclosing.ts";

const bases = basesOfAnswer();
const everything = policy(rule(["Patient", "Observation", "Organization", "Practitioner"], "everything"));
const some = policy(rule(["Patient"], ["gender", "telecom"]), rule(["Observation"], ["code", "value[x]"]));
function left(request: string, resource: object, document: PolicyDocument): Record<string, unknown> {
  const disclosed = disclose(new TextEncoder().encode(JSON.stringify(resource)), document, request, bases);
  if (!disclosed.ok) throw new Error(disclosed.error.reason);
  return JSON.parse(new TextDecoder().decode(disclosed.value.body)) as Record<string, unknown>;
}
const patient = {
  resourceType: "Patient",
  id: "1",
  active: true,
  name: [{ family: "A" }],
  gender: "female",
  birthDate: "1990-01-01",
  _birthDate: { id: "b" },
  contained: [
    { resourceType: "Organization", id: "o" },
    { resourceType: "Practitioner", id: "p" },
  ],
  managingOrganization: { reference: "#o" },
  generalPractitioner: [{ reference: "#p" }],
};
const keys = (resource: object) => Object.keys(resource).toSorted();

test("the requested elements leave if they may be seen, with the elements that R4 requires or that change their meaning", ({
  expect,
}) => {
  const narrowed = left("Patient/1?_elements=birthDate", patient, everything);
  // Patient.active is a modifier.
  expect(keys(narrowed)).toEqual(["_birthDate", "active", "birthDate", "id", "meta", "resourceType"]);
  expect(narrowed["meta"]).toMatchObject({ tag: [{ code: "SUBSETTED" }] });
  const observation = {
    resourceType: "Observation",
    id: "1",
    status: "final",
    code: { text: "c" },
    valueString: "v",
    issued: "2026-01-01T00:00:00Z",
  };
  expect(keys(left("Observation/1?_elements=value", observation, everything))).toEqual([
    "code",
    "id",
    "meta",
    "resourceType",
    "status",
    "valueString",
  ]);
});

test("a contained resource stays while something that leaves refers to it", ({ expect }) => {
  const contained = (query: string) => left(`Patient/1${query}`, patient, everything)["contained"];
  expect(contained("")).toHaveLength(2);
  expect(contained("?_elements=managingOrganization")).toEqual([{ resourceType: "Organization", id: "o" }]);
  expect(contained("?_elements=contained")).toBeUndefined(); // dom-3
});

test("asking for an element never shows one that the view hides", ({ expect }) => {
  expect(keys(left("Patient/1?_elements=name,birthDate", patient, some))).toEqual([
    "active",
    "id",
    "meta",
    "resourceType",
  ]);
  const names = [...elementsOf("Patient").keys()].map((name) => name.replace("[x]", ""));
  fc.assert(
    fc.property(
      fc.subarray(names, { minLength: 1 }),
      fc.constantFrom(everything, some),
      (asked, document) => {
        const [whole, narrowed] = [
          left("Patient/1", patient, document),
          left(`Patient/1?_elements=${asked.join(",")}`, patient, document),
        ];
        const kept = keys(narrowed).filter((name) => name !== "meta" && name !== "contained");
        for (const name of kept) expect(narrowed[name], name).toEqual(whole[name]);
        for (const name of kept.filter((key) => !["id", "resourceType", "active"].includes(key)))
          expect(asked).toContain(name.replace("_", ""));
      },
    ),
  );
});

test("a summary has the elements that R4 marks, the required elements and the modifiers, and shows no hidden element", ({
  expect,
}) => {
  const whole = {
    ...patient,
    text: { status: "generated", div: '<div xmlns="http://www.w3.org/1999/xhtml">x</div>' },
    telecom: [{ system: "phone", value: "1" }],
    maritalStatus: { text: "m" },
    communication: [{ language: { text: "l" } }],
  };
  const summary = (query: string, document = everything) =>
    keys(left(`Patient/1?${query}`, whole, document)).filter((name) => name !== "meta");
  // R4's page of the Patient: Σ stands at each of them, and not at text, communication and generalPractitioner.
  const marked = ["active", "birthDate", "gender", "id", "managingOrganization", "name", "resourceType"];
  expect(summary("_summary=true")).toEqual([...marked, "_birthDate", "contained", "telecom"].toSorted());
  expect(summary("_summary=text")).toEqual(["active", "id", "resourceType", "text"]);
  expect(summary("_summary=data")).toEqual(summary("").filter((name) => name !== "text"));
  expect(summary("_summary=data&_elements=name,text")).toEqual(["active", "id", "name", "resourceType"]);
  for (const form of ["true", "text", "data"]) {
    const cut = left(`Patient/1?_summary=${form}`, whole, some);
    expect(keys(cut).filter((name) => !["active", "id", "meta", "resourceType"].includes(name))).toEqual(
      form === "text" ? [] : ["gender", "telecom"],
    );
    expect(cut["meta"]).toMatchObject({ tag: [{ code: "SUBSETTED" }] });
  }
});
