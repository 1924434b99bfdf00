import type { Patient } from "@medplum/fhirtypes";
import { clinics, practitioners } from "./institutions.ts";
import { to, type Chart } from "./chart.ts";
import { codingOf, hl7, narrative } from "./vocabulary.ts";
import { firstPatient } from "./people.ts";

/**
 * The Patient itself, with every kind of identifying element: names, numbers, addresses, telephones,
 * relations.
 */
export function patient({ person, random }: Chart): Patient {
  const name = [...person.given, person.family].join(" ");
  return {
    resourceType: "Patient",
    id: person.id,
    text: narrative(
      `${name}, born ${person.birthDate}, ${person.line}, ${person.city}, ${person.state} ${person.zip}`,
    ),
    extension: [
      {
        url: "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex",
        valueCode: person.gender === "male" ? "M" : person.gender === "female" ? "F" : "UNK",
      },
    ],
    identifier: [
      {
        use: "usual",
        type: hl7("v2-0203", "MR", "Medical record number"),
        system: "urn:oid:1.2.36.146.595.217.0.1",
        value: `MRN${random.int(100_000, 999_999)}`,
      },
      {
        type: hl7("v2-0203", "SS", "Social Security number"),
        system: "http://hl7.org/fhir/sid/us-ssn",
        value: `999-${random.int(10, 99)}-${random.int(1000, 9999)}`,
      },
    ],
    active: person.id !== duplicate,
    name: [{ use: "official", text: name, family: person.family, given: [...person.given] }],
    telecom: [
      { system: "phone", value: `+1-617-555-${random.int(1000, 9999)}`, use: "mobile" },
      { system: "email", value: `${person.id}@example.org`, use: "home" },
    ],
    gender: person.gender,
    birthDate: person.birthDate,
    ...(typeof person.deceased === "string" && { deceasedDateTime: person.deceased }),
    ...(person.deceased === true && { deceasedBoolean: true }),
    address: [
      {
        use: "home",
        line: [person.line],
        city: person.city,
        state: person.state,
        postalCode: person.zip,
        country: "US",
      },
    ],
    ...(person.language !== undefined && {
      communication: [
        { language: { coding: [{ system: "urn:ietf:bcp:47", code: person.language }] }, preferred: true },
      ],
    }),
    ...(person.id === newborn && {
      multipleBirthBoolean: false,
      contact: [
        {
          relationship: [hl7("v3-RoleCode", "MTH", "mother")],
          name: { family: "Okafor", given: ["Amara"] },
          telecom: [{ system: "phone", value: "+1-617-555-0147" }],
        },
      ],
    }),
    generalPractitioner: [to("Practitioner", random.pick(practitioners))],
    managingOrganization: to("Organization", random.pick(clinics)),
    ...links(person.id),
    ...(person.sensitive?.includes("SDV") === true && {
      meta: { security: [codingOf("v3-Confidentiality", "R", "restricted"), codingOf("v3-ActCode", "SDV")] },
    }),
  };
}

export const newborn = `${firstPatient}-newborn`;
const current = "priya-raman";
const duplicate = "priya-raman-2019";

/** A person with two records (R4 §8.1.2): a statement about the old record applies to the new record. */
function links(id: string): Pick<Patient, "link"> {
  if (id === current) return { link: [{ other: to("Patient", duplicate), type: "replaces" }] };
  if (id === duplicate) return { link: [{ other: to("Patient", current), type: "replaced-by" }] };
  return {};
}
