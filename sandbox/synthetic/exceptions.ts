import type { MedicationRequest, Observation, RelatedPerson, Resource } from "@medplum/fhirtypes";
import { at } from "./calendar.ts";
import { to, type Chart, type Visit } from "./chart.ts";
import { observation, quantity } from "./observations.ts";
import { newborn } from "./patient.ts";
import { firstPatient } from "./people.ts";
import { conceptOf, hl7, rxnorm } from "./vocabulary.ts";

/** The records that a gateway most easily mishandles, each in the chart of its patient. */
export function exceptions(chart: Chart, visit: Visit): Resource[] {
  switch (chart.person.id) {
    case firstPatient:
      return [heartbeatOfTheUnborn(chart, visit)];
    case newborn:
      return [seenByTheMother(chart, visit), mother(chart)];
    case "elijah-washington":
      return [prescriptionThatIsNotOne(chart, visit), prescriptionWithItsDrugInside(chart, visit)];
    default:
      return [];
  }
}

/** About the mother's chart, and in truth about the child: `focus` is a mention, never membership. */
function heartbeatOfTheUnborn(chart: Chart, visit: Visit): Observation {
  return {
    ...observation(chart, visit, "vital-signs", "55283-6", "Fetal Heart rate"),
    focus: [to("Patient", newborn)],
    valueQuantity: quantity(142, "/min"),
  };
}

/**
 * The child's observation, performed by the mother: two patients in one resource, and only the child owns it.
 */
function seenByTheMother(chart: Chart, visit: Visit): Observation {
  return {
    ...observation(chart, visit, "survey", "8339-4", "Birth weight Measured"),
    performer: [to("Patient", firstPatient)],
    valueQuantity: quantity(chart.random.decimal(2900, 3900, 1), "g"),
  };
}

function mother({ patient, id }: Chart): RelatedPerson {
  return {
    resourceType: "RelatedPerson",
    id: id("RelatedPerson"),
    active: true,
    patient,
    relationship: [hl7("v3-RoleCode", "MTH", "mother")],
    name: [{ family: "Okafor", given: ["Amara"] }],
  };
}

/**
 * A modifier extension negates the whole record: a reader that does not understand it must not show the rest
 * (R4 §2.4.1).
 */
function prescriptionThatIsNotOne({ patient, id }: Chart, visit: Visit): MedicationRequest {
  return {
    resourceType: "MedicationRequest",
    id: id("MedicationRequest"),
    modifierExtension: [
      { url: "https://phylax.example/StructureDefinition/advised-against", valueBoolean: true },
    ],
    status: "active",
    intent: "proposal",
    medicationCodeableConcept: conceptOf(rxnorm, "855332", "Warfarin Sodium 5 MG Oral Tablet"),
    subject: patient,
    authoredOn: at(visit.date, visit.hour, 28),
    requester: to("Practitioner", visit.practitioner),
  };
}

/** The drug and its maker as contained resources. */
function prescriptionWithItsDrugInside({ patient, id }: Chart, visit: Visit): MedicationRequest {
  return {
    resourceType: "MedicationRequest",
    id: id("MedicationRequest"),
    contained: [
      { resourceType: "Organization", id: "maker", name: "Atlantic Compounding" },
      {
        resourceType: "Medication",
        id: "drug",
        code: { text: "Amlodipine suspension 1 mg/mL" },
        manufacturer: { reference: "#maker" },
      },
    ],
    status: "active",
    intent: "order",
    medicationReference: { reference: "#drug" },
    subject: patient,
    authoredOn: at(visit.date, visit.hour, 29),
    requester: to("Practitioner", visit.practitioner),
  };
}
