import type { Resource } from "@medplum/fhirtypes";
import { to } from "./chart.ts";
import { conceptOf, hl7, narrative, snomed } from "./vocabulary.ts";

/** The clinics and the payer, shared by all people: many charts refer to a single record. */
export const clinics = ["harbor-health", "northern-valley-clinic", "charles-river-hospital"] as const;
export const insurer = "commonwealth-mutual";
export const practitioners = [
  "dr-helen-adler",
  "dr-ravi-menon",
  "dr-sofia-duarte",
  "np-jonas-weber",
] as const;

const clinicNames: Record<(typeof clinics)[number], readonly [name: string, city: string, zip: string]> = {
  "harbor-health": ["Harbor Health Associates", "Boston", "02110"],
  "northern-valley-clinic": ["Northern Valley Clinic", "Lebanon", "03766"],
  "charles-river-hospital": ["Charles River Hospital", "Boston", "02114"],
};
const practitionerNames: Record<
  (typeof practitioners)[number],
  readonly [prefix: string, given: string, family: string, npi: string]
> = {
  "dr-helen-adler": ["Dr.", "Helen", "Adler", "1234567893"],
  "dr-ravi-menon": ["Dr.", "Ravi", "Menon", "1245319599"],
  "dr-sofia-duarte": ["Dr.", "Sofia", "Duarte", "1679576722"],
  "np-jonas-weber": ["NP", "Jonas", "Weber", "1881697878"],
};

export function institutions(): Resource[] {
  return [...clinics.flatMap(clinic), payer, ...practitioners.flatMap(practitioner)];
}

/** The place in a clinic where visits happen. */
export const locationOf = (clinic: string): string => `${clinic}-main`;

function clinic(id: (typeof clinics)[number]): Resource[] {
  const [name, city, postalCode] = clinicNames[id];
  const address = { line: ["1 Main Street"], city, postalCode, country: "US" };
  return [
    {
      resourceType: "Organization",
      id,
      text: narrative(name),
      active: true,
      type: [hl7("organization-type", "prov", "Healthcare Provider")],
      name,
      telecom: [{ system: "phone", value: "+1-617-555-0100" }],
      address: [address],
    },
    {
      resourceType: "Location",
      id: locationOf(id),
      status: "active",
      name: `${name}, main building`,
      address,
      position: { longitude: -71.06, latitude: 42.36 },
      managingOrganization: to("Organization", id),
    },
  ];
}

const payer: Resource = {
  resourceType: "Organization",
  id: insurer,
  active: true,
  type: [hl7("organization-type", "pay", "Payer")],
  name: "Commonwealth Mutual",
};

function practitioner(id: (typeof practitioners)[number], index: number): Resource[] {
  const [prefix, given, family, npi] = practitionerNames[id];
  return [
    {
      resourceType: "Practitioner",
      id,
      identifier: [{ system: "http://hl7.org/fhir/sid/us-npi", value: npi }],
      active: true,
      name: [{ use: "official", family, given: [given], prefix: [prefix] }],
      telecom: [{ system: "email", value: `${given}.${family}@example.org`.toLowerCase(), use: "work" }],
    },
    {
      resourceType: "PractitionerRole",
      id: `${id}-role`,
      active: true,
      practitioner: to("Practitioner", id),
      organization: to("Organization", clinics[index % clinics.length] ?? clinics[0]),
      code: [conceptOf(snomed, "59058001", "General physician")],
    },
  ];
}
