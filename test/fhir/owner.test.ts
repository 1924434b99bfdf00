import * as fc from "fast-check";
import { join } from "node:path";
import { describe, test } from "vitest";
import { belongingOf } from "#fhir/r4/belonging";
import { isCompartmentType, namingElements, r4Owners, r4Participants } from "#fhir/r4/compartment-tables";
import { isOwnedBy, mayBelongToAnother } from "#fhir/r4/compartment";
import { Facts } from "#fhir/json/facts";
import { textAt, type Json, type JsonObject } from "#fhir/json/json";
import { readFolder } from "../../sandbox/fhir-server/load.ts";
import { noSharedData } from "../phi/shared-data.ts";

const base = "https://origin.example.org/r4";
const to = (reference: string): JsonObject => ({ reference });
const facts = (resource: JsonObject): Facts => {
  const elements = namingElements(textAt(resource, "resourceType") ?? "").map((name) => [name] as const);
  return Facts.of(resource, [["resourceType"], ["id"], ...elements]);
};
const owned = (resource: JsonObject) => isOwnedBy(facts(resource), new Set(["amara"]), base);

describe("an owner element decides", () => {
  test.for<[string, Json, boolean]>([
    ["relative", to("Patient/amara"), true],
    ["absolute, below the origin's base", to(`${base}/Patient/amara`), true],
    ["a version of it", to("Patient/amara/_history/3"), true],
    ["with its type", { reference: "Patient/amara", type: "Patient" }, true],
    [
      "with its type in full",
      { reference: "Patient/amara", type: "http://hl7.org/fhir/StructureDefinition/Patient" },
      true,
    ],
    ["with another type", { reference: "Patient/amara", type: "Group" }, false],
    ["with a type that is no text", { reference: "Patient/amara", type: ["Patient"] }, false],
    ["another patient", to("Patient/bela"), false],
    ["a prefix of the id", to("Patient/amar"), false],
    ["a longer id", to("Patient/amara2"), false],
    ["in another case", to("patient/amara"), false],
    ["of another server", to("https://elsewhere.example.org/r4/Patient/amara"), false],
    ["of a base that begins alike", to(`${base}2/Patient/amara`), false],
    ["contained", to("#amara"), false],
    ["a urn", to("urn:uuid:0c7b1f0e-0000-4000-8000-000000000000"), false],
    ["conditional", to("Patient?_id=amara"), false],
    ["by identifier", { identifier: { system: "urn:mrn", value: "amara" } }, false],
    ["by name alone", { display: "Amara" }, false],
    ["a group", to("Group/amara"), false],
    ["a place", to("Location/amara"), false],
    ["an unknown type", to("Person2/amara"), false],
    ["empty", {}, false],
    ["null", null, false],
    ["a text", "Patient/amara", false],
    ["a list of two, the other's second", [to("Patient/amara"), to("Patient/bela")], false],
    ["a list in a list", [[to("Patient/amara"), to("Patient/bela")]], false],
  ])("subject %s", ([, subject, is], { expect }) => {
    expect(owned({ resourceType: "Observation", id: "o", subject, performer: [to("Patient/amara")] })).toBe(
      is,
    );
  });
});

test("a Patient owns itself by its id alone: links and references do not make an owner", ({ expect }) => {
  expect(owned({ resourceType: "Patient", id: "amara" })).toBe(true);
  for (const patient of [
    { id: "bela", link: [{ other: to("Patient/amara") }] },
    { id: ["amara"] },
    { identifier: [{ value: "amara" }] },
  ]) {
    expect(owned({ resourceType: "Patient", ...patient })).toBe(false);
  }
});

test("a participant counts only without any owner element, and only if no second patient may have taken part", ({
  expect,
}) => {
  const performed = (more: JsonObject, ...performer: Json[]) =>
    owned({ resourceType: "Observation", performer, ...more });
  expect(performed({}, to("Patient/amara"))).toBe(true);
  expect(performed({}, to("Practitioner/x"), to("Patient/amara"), to("Organization/o"))).toBe(true);
  expect(performed({ subject: [] }, to("Patient/amara"))).toBe(true);
  for (const subject of [to("Location/x"), to("Device/x"), {}, null, "x", { display: "somebody" }]) {
    expect(performed({ subject }, to("Patient/amara")), JSON.stringify(subject)).toBe(false);
  }
  expect(performed({}, to("Patient/amara"), to("Patient/bela"))).toBe(false);
  expect(performed({}, to("Patient/amara"), { display: "Bela" })).toBe(false);
  expect(performed({}, to("Patient/amara"), to("#bela"))).toBe(false);
  expect(performed({}, to("Patient/amara"), to("Group/belas"))).toBe(false);
  expect(performed({}, to("Practitioner/amara"))).toBe(false);
  expect(performed({})).toBe(false);
});

test("if there are several owners, each must be the patient or a thing without a patient", ({ expect }) => {
  const meeting = (...actors: Json[]) =>
    owned({ resourceType: "Appointment", participant: actors.map((actor) => ({ actor })) });
  expect(
    meeting(to("Patient/amara"), to("Practitioner/x"), to("Location/y"), to("HealthcareService/z")),
  ).toBe(true);
  expect(meeting(to("Patient/amara"), to("Patient/bela"))).toBe(false);
  expect(meeting(to("Patient/amara"), to("RelatedPerson/bela-mother"))).toBe(false);
  expect(meeting(to("Patient/amara"), { display: "Bela" })).toBe(false);
  expect(meeting(to("Practitioner/x"))).toBe(false);
  expect(
    owned({
      resourceType: "Appointment",
      participant: [{ actor: to("Patient/amara") }, { required: "required" }],
    }),
  ).toBe(true);
  expect(owned({ resourceType: "Appointment", participant: [{ actor: to("Patient/amara") }, null] })).toBe(
    false,
  );
  expect(owned({ resourceType: "Provenance", target: [to("Patient/amara"), to("Observation/o")] })).toBe(
    false,
  );
  expect(
    owned({ resourceType: "Group", member: [{ entity: to("Patient/amara") }, { entity: to("Group/g") }] }),
  ).toBe(false);
});

test("a mention is no ownership: focus, policy holder next to a beneficiary, author next to a subject", ({
  expect,
}) => {
  expect(
    owned({ resourceType: "Observation", subject: to("Patient/bela"), focus: [to("Patient/amara")] }),
  ).toBe(false);
  expect(owned({ resourceType: "Observation", focus: [to("Patient/amara")] })).toBe(false);
  expect(
    owned({ resourceType: "Coverage", beneficiary: to("Patient/bela"), policyHolder: to("Patient/amara") }),
  ).toBe(false);
  expect(
    owned({ resourceType: "DocumentReference", subject: to("Patient/bela"), author: [to("Patient/amara")] }),
  ).toBe(false);
});

test("a Device belongs to the patient whom it names, and a Device without a patient to no patient", ({
  expect,
}) => {
  const device = (more: object) => owned({ resourceType: "Device", id: "amara", ...more });
  expect(device({ patient: to("Patient/amara") })).toBe(true);
  expect(device({ patient: to("Patient/bela") })).toBe(false);
  expect(device({ patient: { identifier: { value: "amara" } } })).toBe(false);
  expect(device({ patient: null })).toBe(false);
  expect(device({})).toBe(false);
});

test("types outside the compartment have no owner, even if they name the patient they are about", ({
  expect,
}) => {
  for (const type of [
    "Practitioner",
    "Organization",
    "Medication",
    "Task",
    "Contract",
    "Binary",
    "Bundle",
    "constructor",
    "",
  ]) {
    expect(isCompartmentType(type), type).toBe(false);
    expect(
      owned({ resourceType: type, id: "amara", patient: to("Patient/amara"), subject: to("Patient/amara") }),
      type,
    ).toBe(false);
  }
  expect(owned({ id: "amara" })).toBe(false);
  expect(isCompartmentType("Device")).toBe(false);
  for (const type of ["Patient", ...Object.keys(r4Owners)]) expect(isCompartmentType(type), type).toBe(true);
});

/** Puts a value at a path, in lists or not. */
const placed = (path: readonly string[], value: Json, listed: boolean): JsonObject => {
  const [first = "", ...below] = path;
  const inner = below.length === 0 ? value : placed(below, value, listed);
  return { [first]: listed ? [inner] : inner };
};
const otherOwner = fc.constantFrom<Json>(
  to("Patient/bela"),
  to(`${base}/Patient/bela`),
  to("#p"),
  { display: "Bela" },
  to("urn:uuid:x"),
  to("https://x.example/Patient/amara"),
  null,
  "Patient/amara",
  {},
);

test("a resource of any type with a different owner, or with an owner that cannot be identified, is not the patient's", ({
  expect,
}) => {
  const kinds = fc.constantFrom(...Object.entries(r4Owners));
  fc.assert(
    fc.property(kinds, otherOwner, fc.boolean(), fc.boolean(), ([type, path], other, first, participates) => {
      const [head = "", ...below] = path.split(".");
      const both = [to("Patient/amara"), other];
      const items = (first ? both : both.toReversed()).map((one) =>
        below.length === 0 ? one : placed(below, one, false),
      );
      const taking = participates ? (r4Participants[type] ?? "").split(" ").filter(Boolean) : [];
      const resource = Object.assign(
        { resourceType: type, id: "amara" },
        ...taking.map((one) => placed(one.split("."), to("Patient/amara"), true)),
        { [head]: items },
      );
      expect(owned(resource)).toBe(false);
      expect(owned({ ...resource, [head]: items.filter((_item, at) => (first ? at === 0 : at === 1)) })).toBe(
        true,
      );
    }),
  );
});

test("a nested resource belongs to its container's owner, unless it names a different owner", ({
  expect,
}) => {
  const inside = (subject?: Json) =>
    mayBelongToAnother(
      facts({ resourceType: "Observation", id: "in", ...(subject === undefined ? {} : { subject }) }),
      new Set(["amara"]),
      base,
    );
  for (const subject of [undefined, to("#"), to("#p"), to("Patient/amara"), to("Location/l")])
    expect(inside(subject)).toBe(false);
  for (const subject of [
    to("Patient/bela"),
    to(`${base}/Patient/bela`),
    to("https://elsewhere.example.org/Patient/amara"),
    [to("Patient/amara"), to("Patient/bela")],
    to("Group/g"),
    to("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"),
    { identifier: { value: "bela" } },
    { display: "Bela" },
  ]) {
    expect(inside(subject)).toBe(true);
  }
  // Outside the compartment, and still about a person.
  for (const [resourceType, element] of [
    ["Task", "for"],
    ["Device", "patient"],
    ["Contract", "subject"],
  ] as const) {
    expect(
      mayBelongToAnother(
        facts({ resourceType, id: "in", [element]: to("Patient/bela") }),
        new Set(["amara"]),
        base,
      ),
      resourceType,
    ).toBe(true);
    expect(
      mayBelongToAnother(
        facts({ resourceType, id: "in", [element]: to("Patient/amara") }),
        new Set(["amara"]),
        base,
      ),
      resourceType,
    ).toBe(false);
  }
  expect(
    mayBelongToAnother(facts({ resourceType: "Practitioner", id: "in" }), new Set(["amara"]), base),
  ).toBe(false);
});

/**
 * Counts in the resources of a folder: compartment resources with exactly a single owner, and compartment
 * resources with no owner or several owners.
 */
async function sorted(folder: string) {
  const { resources } = await readFolder(join(import.meta.dirname, "../../../shared/data/fhir", folder));
  const ids = resources.flatMap((one) =>
    one.resourceType === "Patient" && one.id !== undefined ? [one.id] : [],
  );
  const ofCompartment = resources.filter(({ resourceType }) => isCompartmentType(resourceType));
  const owners = ofCompartment.map((one) =>
    ids.filter((id) => isOwnedBy(facts(one as object as JsonObject), new Set([id]), base)),
  ); // FHIR JSON as parsed
  const not = (several: boolean) =>
    ofCompartment.flatMap(({ resourceType }, at) =>
      (owners[at]?.length ?? 0) > 1 === several && owners[at]?.length !== 1 ? [resourceType] : [],
    );
  return {
    patients: ids.length,
    total: ofCompartment.length,
    nobodys: [...new Set(not(false))],
    severals: not(true),
  };
}

test.skipIf(noSharedData).for(["synthea-2019", "synthea-2020", "synthea-2024"])(
  "in %s every record has exactly a single owner, except Provenance, because its targets are not followed yet (needs ../shared/data)",
  async (folder, { expect }) => {
    const { patients, total, nobodys, severals } = await sorted(folder);
    expect(patients).toBeGreaterThan(0);
    expect(total).toBeGreaterThan(500);
    expect(severals).toEqual([]);
    expect(nobodys.filter((type) => type !== "Provenance")).toEqual([]);
  },
);

test("two resources belong to the same patients in any spelling of the references; participants are compared separately", ({
  expect,
}) => {
  const of = (more: JsonObject, type = "Observation") => belongingOf({ resourceType: type, ...more }, base);
  const owners = (...of: readonly string[]) => ({ owners: of, participants: [] });
  expect(of({ subject: to("Patient/amara") })).toEqual(owners("Patient/amara"));
  expect(of({ subject: { reference: `${base}/Patient/amara`, display: "Amara" } })).toEqual(
    owners("Patient/amara"),
  );
  expect(of({ subject: { reference: "Patient/amara", type: "Patient" } })).toEqual(owners("Patient/amara"));
  expect(of({ subject: to("Patient/bela") })).toEqual(owners("Patient/bela"));
  expect(of({ subject: { reference: "Patient/amara", type: "Group" } })).not.toEqual(owners("Patient/amara"));
  expect(
    of({ subject: to("Patient/amara"), performer: [to("Patient/bela"), to("Practitioner/vera")] }),
  ).toEqual({
    owners: ["Patient/amara"],
    participants: ["Patient/bela"],
  });
  const seat = (actor: string) => ({ actor: to(actor) });
  const [amara, bela] = [seat("Patient/amara"), seat("Patient/bela")];
  expect(of({ participant: [seat("Practitioner/vera"), amara] }, "Appointment")).toEqual(
    owners("Patient/amara"),
  );
  expect(of({ participant: [bela, amara] }, "Appointment")).toEqual(
    of({ participant: [amara, bela] }, "Appointment"),
  );
  expect(of({ participant: [bela, amara, amara] }, "Appointment")).not.toEqual(
    of({ participant: [bela, amara] }, "Appointment"),
  );
  expect(of({ subject: { identifier: { value: "1" } } })).not.toEqual(
    of({ subject: { identifier: { value: "2" } } }),
  );
  expect(of({ for: to("Patient/amara") }, "Task")).toEqual(owners("Patient/amara"));
  expect(of({ focus: to("Observation/1"), owner: to("Patient/bela") }, "Task")).toEqual({
    owners: [],
    participants: ["Patient/bela"],
  });
});

test("without an owner element, a nested resource belongs to a different patient if that patient took part", ({
  expect,
}) => {
  const is = (inside: JsonObject, nesting?: "entry") =>
    mayBelongToAnother(facts(inside), new Set(["amara"]), base, nesting);
  expect(is({ resourceType: "Observation", performer: [to("Patient/bela")] })).toBe(true);
  expect(is({ resourceType: "Observation", performer: [{ type: "Patient", display: "Bela" }] })).toBe(true);
  expect(
    is({
      resourceType: "Observation",
      performer: [to("Patient/amara"), to("Practitioner/vera"), { display: "Dr. Vera" }],
    }),
  ).toBe(false);
  expect(
    is({ resourceType: "Observation", subject: to("Patient/amara"), performer: [to("Patient/bela")] }),
  ).toBe(false);
  expect(is({ resourceType: "Task", owner: to("Patient/bela") })).toBe(true);
  expect(is({ resourceType: "Patient", id: "bela" }), "a contained id is the container's own").toBe(false);
  expect(is({ resourceType: "Patient", id: "bela" }, "entry")).toBe(true);
  expect(is({ resourceType: "Patient", id: "amara" }, "entry")).toBe(false);
});
