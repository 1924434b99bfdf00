import type { Condition, MedicationRequest, Resource } from "@medplum/fhirtypes";
import { at } from "./calendar.ts";
import { to, type Chart, type Visit } from "./chart.ts";
import type { Ailment } from "./people.ts";
import { conceptOf, hl7, icd10, narrative, rxnorm, snomed } from "./vocabulary.ts";

interface Treatment {
  readonly snomed: string;
  readonly icd10: string;
  readonly display: string;
  readonly rxnorm: string;
  readonly drug: string;
}

const treatments: Record<Ailment, Treatment> = {
  diabetes: {
    snomed: "44054006",
    icd10: "E11.9",
    display: "Type 2 diabetes mellitus",
    rxnorm: "860975",
    drug: "Metformin hydrochloride 500 MG Extended Release Oral Tablet",
  },
  hypertension: {
    snomed: "59621000",
    icd10: "I10",
    display: "Essential hypertension",
    rxnorm: "314076",
    drug: "Lisinopril 10 MG Oral Tablet",
  },
  asthma: {
    snomed: "195967001",
    icd10: "J45.909",
    display: "Asthma",
    rxnorm: "745679",
    drug: "Albuterol 0.09 MG/ACTUAT Metered Dose Inhaler",
  },
  depression: {
    snomed: "35489007",
    icd10: "F32.9",
    display: "Depressive disorder",
    rxnorm: "312938",
    drug: "Sertraline 50 MG Oral Tablet",
  },
  "heart-failure": {
    snomed: "84114007",
    icd10: "I50.9",
    display: "Heart failure",
    rxnorm: "310429",
    drug: "Furosemide 20 MG Oral Tablet",
  },
  "kidney-disease": {
    snomed: "709044004",
    icd10: "N18.9",
    display: "Chronic kidney disease",
    rxnorm: "979485",
    drug: "Losartan potassium 25 MG Oral Tablet",
  },
};

/** An ailment in the chart: the diagnosis at the first visit, its drug since then. */
export function ailment(chart: Chart, name: Ailment, visit: Visit): Resource[] {
  const treatment = treatments[name];
  const diagnosed = condition(chart, visit, treatment);
  return [diagnosed, prescription(chart, visit, treatment, diagnosed.id ?? "")];
}

function condition({ person, patient, id }: Chart, visit: Visit, treatment: Treatment): Condition {
  return {
    resourceType: "Condition",
    id: id("Condition"),
    text: narrative(`${person.given[0] ?? ""} ${person.family} has ${treatment.display}.`),
    clinicalStatus: hl7("condition-clinical", "active"),
    verificationStatus: hl7("condition-ver-status", "confirmed"),
    category: [hl7("condition-category", "problem-list-item", "Problem List Item")],
    code: {
      coding: [
        { system: snomed, code: treatment.snomed, display: treatment.display },
        { system: icd10, code: treatment.icd10, display: treatment.display },
      ],
      text: treatment.display,
    },
    subject: patient,
    encounter: to("Encounter", visit.encounter),
    onsetDateTime: visit.date,
    recordedDate: at(visit.date, visit.hour, 20),
    recorder: to("Practitioner", visit.practitioner),
  };
}

function prescription(
  { patient, id }: Chart,
  visit: Visit,
  treatment: Treatment,
  reason: string,
): MedicationRequest {
  return {
    resourceType: "MedicationRequest",
    id: id("MedicationRequest"),
    status: "active",
    intent: "order",
    medicationCodeableConcept: conceptOf(rxnorm, treatment.rxnorm, treatment.drug),
    subject: patient,
    encounter: to("Encounter", visit.encounter),
    authoredOn: at(visit.date, visit.hour, 25),
    requester: to("Practitioner", visit.practitioner),
    reasonReference: [to("Condition", reason)],
    dosageInstruction: [
      {
        text: "1 by mouth daily",
        timing: { repeat: { frequency: 1, period: 1, periodUnit: "d" } },
        doseAndRate: [{ doseQuantity: { value: 1, unit: "tablet" } }],
      },
    ],
  };
}
