import { describe, test } from "vitest";
import { coding, consent, observation, recipient, resource, verdict } from "./scene.ts";

// Parts of a Consent, and facts of a row, that look understood and are not: a denial denies, a permit is silent.

const ofPatient = { reference: "Patient/1" };
const [doctor, colleague] = [{ reference: "Practitioner/x" }, { reference: "Practitioner/y" }];
const role = { reference: "PractitionerRole/r" };
const row = (resourceType: string, more: object) => resource({ resourceType, id: "r", ...more });

describe("an actor in a role that is not understood, beside actors in known roles", () => {
  const known = recipient({ reference: "Organization/x" });
  const askedBy = (name: string) => ({
    who: [`Organization/${name}`],
    complete: ["Organization", "Practitioner", "Group"],
  });
  const strange = [
    {
      role: { coding: [{ system: "urn:roles", code: "receiver" }] },
      reference: { reference: "Organization/y" },
    },
    { reference: { reference: "Organization/y" } },
  ];

  test.for(strange)("may receive as well: %j", (actor, { expect }) => {
    const denial = consent({ type: "deny", actor: [known, actor] });
    const exception = consent({ type: "permit", provision: [{ type: "deny", actor: [known, actor] }] });
    const permit = consent({ type: "permit", actor: [known, actor] });
    for (const [document, verdicts] of [
      [denial, ["deny", "deny", "silent"]],
      [exception, ["deny", "deny", "permit"]],
      [permit, ["silent", "silent", "silent"]],
    ] as const)
      expect(["x", "y", "z"].map((name) => verdict(document, askedBy(name)))).toEqual(verdicts);
  });

  test("an actor that is not understood as a whole may be any recipient", ({ expect }) => {
    const denial = consent({ type: "deny", actor: [known, { ...known, strange: true }] });
    expect(["x", "z"].map((name) => verdict(denial, askedBy(name)))).toEqual(["deny", "deny"]);
  });

  test("may hold the data as well", ({ expect }) => {
    const holder = {
      role: { coding: [coding("CST", "v3-ParticipationType")] },
      reference: { reference: "Organization/x" },
    };
    const denial = consent({ type: "deny", actor: [holder, ...strange.slice(0, 1)] });
    expect(verdict(denial, { holder: ["Organization/y"] })).toBe("deny");
    expect(verdict(denial, { holder: ["Organization/z"] })).toBe("silent");
  });
});

test("an element that is no primitive and is written with an underscore is not understood", ({ expect }) => {
  const optIn = { policyRule: { coding: [coding("OPTIN", "v3-ActCode")] } };
  expect(verdict(consent({ type: "permit", _purpose: [{ code: "HRESCH" }] }))).not.toBe("permit");
  expect(verdict(consent({ type: "permit", _period: { end: "2020" } }))).not.toBe("permit");
  expect(verdict(consent(undefined, { ...optIn, _provision: { type: "deny" } }))).toBe("deny");
  expect(verdict(consent({ type: "permit" }, { _category: [{ text: "payer-to-payer" }] }))).toBe("deny");
  // a primitive may have an extension beside its value
  const extended = { extension: [{ url: "urn:x", valueString: "y" }] };
  expect(verdict(consent({ type: "permit", _type: extended }, { _status: extended }))).toBe("permit");
});

describe("a row by an author in an element of its type", () => {
  const by = { data: [{ meaning: "authoredby", reference: doctor }] };
  const named: readonly (readonly [string, object])[] = [
    ["NutritionOrder", { patient: ofPatient, orderer: doctor }],
    ["VisionPrescription", { patient: ofPatient, prescriber: doctor }],
    ["ClinicalImpression", { subject: ofPatient, assessor: doctor }],
    ["Goal", { subject: ofPatient, expressedBy: doctor }],
    ["List", { subject: ofPatient, source: doctor }],
    ["Media", { subject: ofPatient, operator: doctor }],
    ["ImagingStudy", { subject: ofPatient, interpreter: [doctor] }],
    ["CarePlan", { subject: ofPatient, author: colleague, contributor: [doctor] }],
    ["Encounter", { subject: ofPatient, participant: [{ individual: doctor }] }],
    ["Specimen", { subject: ofPatient, collection: { collector: doctor } }],
    [
      "Observation",
      { subject: ofPatient, performer: [colleague], note: [{ authorReference: doctor, text: "-" }] },
    ],
    [
      "Composition",
      { subject: ofPatient, author: [colleague], attester: [{ mode: "legal", party: doctor }] },
    ],
    ["DocumentReference", { subject: ofPatient, author: [colleague], authenticator: doctor }],
    ["Provenance", { target: [{ reference: "Observation/1" }], agent: [{ who: doctor }] }],
    ["NutritionOrder", { patient: ofPatient, orderer: { display: "Dr. X" } }],
    ["NutritionOrder", { patient: ofPatient, orderer: role }],
    ["Encounter", { subject: ofPatient, participant: [{ individual: role }] }],
    ["Observation", { performer: [colleague], note: [{ authorReference: role, text: "-" }] }],
    [
      "Observation",
      {
        performer: [colleague],
        note: [{ authorReference: { reference: "#r" }, text: "-" }],
        contained: [{ resourceType: "PractitionerRole", id: "r", practitioner: doctor }],
      },
    ],
    ["DiagnosticReport", { performer: [colleague], contained: [{ resourceType: "List", source: doctor }] }],
    ["ImagingStudy", { subject: ofPatient, series: [{ uid: "1", performer: [{ actor: doctor }] }] }],
    ["Task", { for: ofPatient, owner: doctor }],
    ["Encounter", { subject: ofPatient, extension: [{ url: "urn:scribe", valueReference: doctor }] }],
  ];

  test.for(named)("may be the author's: %s %j", ([type, more], { expect }) => {
    expect(verdict(consent({ type: "deny", ...by }), {}, row(type, more))).toBe("deny");
    expect(verdict(consent({ type: "permit", ...by }), {}, row(type, more))).not.toBe("permit");
  });

  const about: readonly (readonly [string, object])[] = [
    ["Patient", { generalPractitioner: [doctor] }],
    ["Patient", { generalPractitioner: [role], managingOrganization: { reference: "Organization/o" } }],
    ["Appointment", { participant: [{ actor: ofPatient }, { actor: doctor }, { actor: role }] }],
    ["EpisodeOfCare", { patient: ofPatient, careManager: doctor, team: [{ reference: "CareTeam/t" }] }],
    ["CareTeam", { subject: ofPatient, participant: [{ member: doctor }, { member: role }] }],
    ["Observation", { performer: [colleague], focus: [doctor] }],
    [
      "Encounter",
      { subject: ofPatient, hospitalization: { origin: doctor }, location: [{ location: role }] },
    ],
    ["PractitionerRole", { practitioner: doctor }],
    ["Schedule", { actor: [doctor, role] }],
  ];

  test.for(about)(
    "is not the author's where an element names the person otherwise: %s %j",
    ([type, more], { expect }) => {
      const exception = consent({ type: "permit", provision: [{ type: "deny", ...by }] });
      expect(verdict(exception, {}, row(type, more))).toBe("permit");
      expect(verdict(consent({ type: "deny", ...by }), {}, row(type, more))).toBe("silent");
      expect(verdict(consent({ type: "permit", ...by }), {}, row(type, more))).not.toBe("permit");
    },
  );

  test("is not a row of a different person, and a subject is no author", ({ expect }) => {
    const denial = consent({ type: "deny", ...by });
    expect(verdict(denial, {}, row("NutritionOrder", { patient: ofPatient, orderer: colleague }))).toBe(
      "silent",
    );
    const byPatient = consent({ type: "deny", data: [{ meaning: "authoredby", reference: ofPatient }] });
    expect(verdict(byPatient, {}, observation({ performer: [colleague] }))).toBe("silent");
    expect(verdict(byPatient, {}, row("List", { subject: ofPatient, source: ofPatient }))).toBe("deny");
    expect(verdict(byPatient, {}, observation({ performer: [ofPatient] }))).toBe("deny");
  });
});

test("a time of the data in a form that is not understood is not replaced by the date of the record", ({
  expect,
}) => {
  const denial = consent({ type: "deny", dataPeriod: { start: "2022", end: "2022" } });
  const permit = consent({ type: "permit", dataPeriod: { start: "2023", end: "2023" } });
  const absent = {
    extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "unknown" }],
  };
  const rows: readonly (readonly [string, object])[] = [
    ["Observation", { effectiveTiming: { event: ["2022-05-01"] }, issued: "2023-01-01T00:00:00Z" }],
    ["Observation", { _effectiveDateTime: absent, issued: "2023-01-01T00:00:00Z" }],
    ["Condition", { onsetString: "in May 2022", recordedDate: "2023-01-01" }],
    ["Condition", { onsetAge: { value: 40, unit: "a" }, recordedDate: "2023-01-01" }],
    ["Condition", { onsetRange: { low: { value: 40 } }, recordedDate: "2023-01-01" }],
    ["ServiceRequest", { occurrenceTiming: { event: ["2022-05-01"] }, authoredOn: "2023-01-01" }],
    ["Procedure", { performedString: "last spring", recorded: "2023-01-01" }],
    ["Specimen", { collection: { _collectedDateTime: absent }, recorded: "2023-01-01" }],
  ];
  for (const [type, more] of rows) {
    expect(verdict(denial, {}, row(type, more)), JSON.stringify(more)).toBe("deny");
    expect(verdict(permit, {}, row(type, more)), JSON.stringify(more)).not.toBe("permit");
  }
  // without a time of its own the date of the record decides
  expect(verdict(denial, {}, row("Condition", { recordedDate: "2023-01-01" }))).toBe("silent");
  expect(verdict(permit, {}, row("Condition", { recordedDate: "2023-01-01" }))).toBe("permit");
});

test("a row of a visit may belong to each episode of care, and a row without a visit to none", ({
  expect,
}) => {
  const related = { data: [{ meaning: "related", reference: { reference: "EpisodeOfCare/e" } }] };
  const [denial, permit] = [consent({ type: "deny", ...related }), consent({ type: "permit", ...related })];
  const ofVisit = observation({ encounter: { reference: "Encounter/v" } });
  const visit = (more: object) => row("Encounter", { subject: ofPatient, ...more });
  const own = visit({ episodeOfCare: [{ reference: "EpisodeOfCare/e" }] });
  expect([ofVisit, own, visit({}), observation()].map((each) => verdict(denial, {}, each))).toEqual([
    "deny",
    "deny",
    "silent",
    "silent",
  ]);
  expect([ofVisit, own].map((each) => verdict(permit, {}, each))).toEqual(["deny", "permit"]);
});

test("a denial of a type or of a time holds for what a row contains; a permit is about the row", ({
  expect,
}) => {
  const diagnosis = { resourceType: "Condition", id: "c", recordedDate: "2022-01-01" };
  const report = row("DiagnosticReport", { effectiveDateTime: "2023-01-01", contained: [diagnosis] });
  const ofType = (code: string) => ({ class: [{ system: "http://hl7.org/fhir/resource-types", code }] });
  const ofYear = (year: string) => ({ dataPeriod: { start: year, end: year } });
  const verdicts = (limit: object) =>
    ["deny", "permit"].map((type) => verdict(consent({ type, ...limit }), {}, report));
  expect(verdicts(ofType("Condition"))).toEqual(["deny", "deny"]);
  expect(verdicts(ofYear("2022"))).toEqual(["deny", "deny"]);
  expect(verdicts(ofType("DiagnosticReport"))).toEqual(["deny", "permit"]);
  expect(verdicts(ofYear("2023"))).toEqual(["deny", "permit"]);
  expect(verdicts(ofType("Observation"))).toEqual(["silent", "deny"]);
  expect(verdicts(ofYear("2021"))).toEqual(["silent", "deny"]);
});

test("a contained resource without its time may lie in any period, if the row around it has no time at all", ({
  expect,
}) => {
  const undated = (resourceType: string) => [{ resourceType, id: "c", subject: ofPatient }];
  const ofYear = { dataPeriod: { start: "2022", end: "2022" } };
  const verdicts = (each: ReturnType<typeof row>) =>
    ["deny", "permit"].map((type) => verdict(consent({ type, ...ofYear }), {}, each));
  const site = (contained: object[]) => row("BodyStructure", { patient: ofPatient, contained });
  expect(verdicts(site(undated("Condition")))).toEqual(["deny", "deny"]);
  expect(verdicts(site(undated("BodyStructure")))).toEqual(["silent", "deny"]);
  const dated = { subject: ofPatient, effectiveDateTime: "2023", contained: undated("Condition") };
  expect(verdicts(row("DiagnosticReport", dated))).toEqual(["silent", "deny"]);
});

test("a person who signed in may have a resource of a further type, and none of the same type", ({
  expect,
}) => {
  const denies = (reference: string) => consent({ type: "deny", actor: [recipient({ reference })] });
  const verdicts = (who: readonly string[]) =>
    ["Practitioner/p", "Practitioner/q", "RelatedPerson/m", "PractitionerRole/r"].map((name) =>
      verdict(denies(name), { who, complete: [] }),
    );
  expect(verdicts(["Practitioner/p"])).toEqual(["deny", "silent", "deny", "deny"]);
  expect(verdicts(["RelatedPerson/n"])).toEqual(["deny", "deny", "silent", "deny"]);
  expect(verdicts([])).toEqual(["deny", "deny", "deny", "deny"]);
});
