/**
 * Resources of one id. Every text in them contains an address: in elements that are shown, hidden, unknown,
 * or malformed.
 */
export function hostileResources(id: string, address: string): Record<string, unknown>[] {
  return templates.map((template) =>
    JSON.parse(JSON.stringify(template).replaceAll("@id", id).replaceAll("§", inJson(address))),
  );
}

const inJson = (text: string) => JSON.stringify(text).slice(1, -1);

const concept = {
  coding: [{ system: "§/code", version: "§", code: "§", display: "§" }],
  text: "see § there",
};
const reference = {
  reference: "§/Practitioner/1",
  type: "§",
  display: "§",
  identifier: { system: "§/id", value: "§" },
};
const attachment = { contentType: "text/plain", url: "§/Binary/1", title: "§", language: "§" };
const extensions = [
  { url: "§/StructureDefinition/a", valueUrl: "§/a" },
  { url: "http://example.org/b", valueUri: "§", _valueUri: { extension: [{ url: "§", valueString: "§" }] } },
  { url: "http://example.org/c", valueCanonical: "§/Questionnaire/1|2" },
  { url: "http://example.org/d", valueString: "§", id: "§" },
  { url: "http://example.org/e", valueMarkdown: "[here](§)" },
  { url: "http://example.org/f", valueCode: "§" },
  { url: "http://example.org/g", valueReference: reference },
  { url: "http://example.org/h", valueAttachment: attachment },
  { url: "http://example.org/i", valueCodeableConcept: concept },
  { url: "http://example.org/j", extension: [{ url: "§", valueId: "§" }] },
  { url: "http://example.org/k", valueDateTime: "§" },
  {
    url: "http://example.org/l",
    valueContactDetail: { name: "§", telecom: [{ system: "url", value: "§" }] },
  },
];
const shared = {
  id: "@id",
  meta: {
    source: "§#1",
    profile: ["§/StructureDefinition/p|1"],
    tag: [{ system: "§", code: "§", display: "§" }],
    versionId: "§",
    lastUpdated: "2026-01-01T00:00:00Z",
    extension: extensions,
  },
  language: "§",
  text: {
    status: "generated",
    div: '<div xmlns="http://www.w3.org/1999/xhtml"><a href="§/x">§</a> <img src=\'§\'/> §.</div>',
  },
  extension: extensions,
  identifier: [
    { system: "§/mrn", value: "§", type: concept, assigner: reference, _value: { extension: extensions } },
  ],
  "§": { "§": "§" },
};

const templates = [
  {
    resourceType: "Patient",
    ...shared,
    contained: [
      {
        resourceType: "Organization",
        id: "o",
        name: "§",
        telecom: [{ system: "url", value: "§/o" }],
        text: shared.text,
      },
    ],
    name: [{ text: "§", family: "§", given: ["§"], _given: [{ extension: extensions }] }],
    telecom: [
      { system: "url", value: "§/me" },
      { system: "email", value: "me@§" },
    ],
    birthDate: "§",
    address: [{ line: ["§"], city: "§" }],
    photo: [attachment],
    contact: [{ name: { text: "§" }, organization: reference }],
    communication: [{ language: concept }],
    generalPractitioner: [reference, { reference: "#o" }],
    managingOrganization: { reference: "§/Organization/1" },
    link: [{ other: { reference: "§/Patient/other" }, type: "seealso" }],
  },
  {
    resourceType: "Observation",
    ...shared,
    status: "final",
    category: [concept],
    code: concept,
    subject: { reference: "Patient/@id", display: "§" },
    effectiveDateTime: "§",
    performer: [reference],
    valueString: "§",
    note: [{ text: "§\n\t§", authorReference: reference, time: "§" }],
    derivedFrom: [{ reference: "§/DocumentReference/1" }],
    device: { identifier: { system: "§" }, display: "§" },
  },
  {
    resourceType: "DocumentReference",
    ...shared,
    masterIdentifier: { system: "§", value: "§" },
    status: "current",
    type: concept,
    subject: { reference: "Patient/@id" },
    description: "§",
    content: [{ attachment, format: { system: "§", code: "§" } }],
    context: { sourcePatientInfo: { reference: "§/Patient/@id" }, related: [reference] },
  },
];
