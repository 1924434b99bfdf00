import type { Condition, Resource } from "@medplum/fhirtypes";
import { at } from "./calendar.ts";
import { to, type Chart, type Visit } from "./chart.ts";
import { note, progressNote, psychotherapyNote } from "./documents.ts";
import { conceptOf, hl7, sensitivityLabel, narrative, snomed, type Sensitivity } from "./vocabulary.ts";

const diagnoses: Record<Exclude<Sensitivity, "PSYTHPN">, readonly [code: string, display: string]> = {
  ETH: ["66590003", "Alcohol dependence"],
  ETHUD: ["7200002", "Alcoholism"],
  PSY: ["13746004", "Bipolar disorder"],
  HIV: ["86406008", "Human immunodeficiency virus infection"],
  SDV: ["371772001", "Domestic abuse"],
  STD: ["240589008", "Chlamydial infection"],
  GDIS: ["93461009", "Gender dysphoria"],
};

/** Records with labels (`meta.security`) that mark them as restricted and give the reason. */
export function sensitive(chart: Chart, visit: Visit, sensitivity: Sensitivity): Resource[] {
  const meta = sensitivityLabel(sensitivity);
  if (sensitivity === "PSYTHPN")
    return [
      {
        ...note(chart, visit, psychotherapyNote, "Spoke of her mother's death, and of dreams about it."),
        meta,
      },
    ];
  const [code, display] = diagnoses[sensitivity];
  const { person, patient, id } = chart;
  const diagnosed: Condition = {
    resourceType: "Condition",
    id: id("Condition"),
    meta,
    text: narrative(`${person.given[0] ?? ""} ${person.family} has ${display}.`),
    clinicalStatus: hl7("condition-clinical", "active"),
    verificationStatus: hl7("condition-ver-status", "confirmed"),
    category: [hl7("condition-category", "encounter-diagnosis", "Encounter Diagnosis")],
    code: conceptOf(snomed, code, display),
    subject: patient,
    encounter: to("Encounter", visit.encounter),
    recordedDate: at(visit.date, visit.hour, 20),
  };
  return [diagnosed, { ...note(chart, visit, progressNote, `Follow-up for ${display}.`), meta }];
}
