import type { AllergyIntolerance, Immunization, Procedure } from "@medplum/fhirtypes";
import { at } from "./calendar.ts";
import { to, type Chart, type Visit } from "./chart.ts";
import { conceptOf, hl7, snomed } from "./vocabulary.ts";

export function immunization({ patient, random, id }: Chart, visit: Visit): Immunization {
  return {
    resourceType: "Immunization",
    id: id("Immunization"),
    status: "completed",
    vaccineCode: conceptOf(
      "http://hl7.org/fhir/sid/cvx",
      "140",
      "Influenza, seasonal, injectable, preservative free",
    ),
    patient,
    encounter: to("Encounter", visit.encounter),
    occurrenceDateTime: at(visit.date, visit.hour, 25),
    primarySource: true,
    lotNumber: `L${random.int(10_000, 99_999)}`,
    performer: [{ actor: to("Practitioner", visit.practitioner) }],
  };
}

export function procedure({ patient, id }: Chart, visit: Visit): Procedure {
  return {
    resourceType: "Procedure",
    id: id("Procedure"),
    status: "completed",
    code: conceptOf(snomed, "430193006", "Medication reconciliation"),
    subject: patient,
    encounter: to("Encounter", visit.encounter),
    performedPeriod: { start: at(visit.date, visit.hour, 5), end: at(visit.date, visit.hour, 15) },
    performer: [{ actor: to("Practitioner", visit.practitioner) }],
    location: to("Location", visit.location),
  };
}

export function allergy({ patient, id }: Chart, visit: Visit): AllergyIntolerance {
  return {
    resourceType: "AllergyIntolerance",
    id: id("AllergyIntolerance"),
    clinicalStatus: hl7("allergyintolerance-clinical", "active"),
    verificationStatus: hl7("allergyintolerance-verification", "confirmed"),
    type: "allergy",
    category: ["medication"],
    criticality: "high",
    code: conceptOf(snomed, "91936005", "Allergy to penicillin"),
    patient,
    recordedDate: at(visit.date, visit.hour, 20),
    reaction: [{ manifestation: [conceptOf(snomed, "271807003", "Eruption of skin")], severity: "moderate" }],
  };
}
