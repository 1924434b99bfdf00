import type { DiagnosticReport, Observation, Quantity, Resource } from "@medplum/fhirtypes";
import { at, daysAgo } from "./calendar.ts";
import { to, type Chart, type Visit } from "./chart.ts";
import { conceptOf, hl7, loinc, ucum } from "./vocabulary.ts";

/** The measurements of a visit: blood pressure in its two components, height and weight, temperature. */
export function vitals(chart: Chart, visit: Visit): Observation[] {
  const { random } = chart;
  const adult = visit.date.slice(0, 4) > String(Number(chart.person.birthDate.slice(0, 4)) + 14);
  return [
    {
      ...observation(chart, visit, "vital-signs", "85354-9", "Blood pressure panel"),
      component: [
        {
          code: conceptOf(loinc, "8480-6", "Systolic blood pressure"),
          valueQuantity: quantity(random.int(104, 158), "mm[Hg]"),
        },
        {
          code: conceptOf(loinc, "8462-4", "Diastolic blood pressure"),
          valueQuantity: quantity(random.int(62, 98), "mm[Hg]"),
        },
      ],
    },
    {
      ...observation(chart, visit, "vital-signs", "29463-7", "Body weight"),
      valueQuantity: quantity(random.decimal(adult ? 52 : 3, adult ? 98 : 9, 2), "kg"),
    },
    {
      ...observation(chart, visit, "vital-signs", "8302-2", "Body height"),
      valueQuantity: quantity(random.decimal(adult ? 150 : 50, adult ? 192 : 80, 1), "cm"),
    },
    {
      ...observation(chart, visit, "vital-signs", "8310-5", "Body temperature"),
      valueQuantity: quantity(random.decimal(36, 38, 1), "Cel"),
    },
  ];
}

/** A laboratory's panel with the report that binds its results together. */
export function laboratory(chart: Chart, visit: Visit): Resource[] {
  const { random } = chart;
  const diabetic = chart.person.ailments.includes("diabetes");
  const results: Observation[] = [
    {
      ...observation(chart, visit, "laboratory", "4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood"),
      valueQuantity: quantity(random.decimal(diabetic ? 6.5 : 4.8, diabetic ? 9.5 : 5.6, 2), "%"),
      interpretation: [hl7("v3-ObservationInterpretation", diabetic ? "H" : "N")],
    },
    {
      ...observation(chart, visit, "laboratory", "2160-0", "Creatinine in Serum or Plasma"),
      valueQuantity: quantity(random.decimal(0.6, 1.9, 2), "mg/dL"),
    },
    {
      ...observation(chart, visit, "laboratory", "18262-6", "LDL Cholesterol"),
      valueQuantity: quantity(random.int(62, 190), "mg/dL"),
    },
  ];
  const report: DiagnosticReport = {
    resourceType: "DiagnosticReport",
    id: chart.id("DiagnosticReport"),
    status: "final",
    category: [hl7("v2-0074", "LAB", "Laboratory")],
    code: conceptOf(loinc, "24323-8", "Comprehensive metabolic panel"),
    subject: chart.patient,
    encounter: to("Encounter", visit.encounter),
    effectiveDateTime: at(visit.date, visit.hour, 15),
    issued: at(visit.date, visit.hour + 4),
    performer: [to("Organization", visit.organization)],
    result: results.map(({ id = "" }) => to("Observation", id)),
  };
  return [...results, report];
}

/** A year of blood glucose measured at home, one value a day: a history long enough for several pages. */
export function homeGlucose({ patient, random, id }: Chart): Observation[] {
  return Array.from({ length: 320 }, (_, i) => ({
    resourceType: "Observation" as const,
    id: id("Observation"),
    status: "final" as const,
    category: [hl7("observation-category", "laboratory", "Laboratory")],
    code: conceptOf(loinc, "2339-0", "Glucose [Mass/volume] in Blood"),
    subject: patient,
    effectiveDateTime: at(daysAgo(320 - i), 7, random.int(0, 59)),
    performer: [patient],
    valueQuantity: quantity(random.int(78, 240), "mg/dL"),
  }));
}

/** An observation without its value: about the patient, at the visit. */
export function observation(
  chart: Chart,
  visit: Visit,
  category: string,
  code: string,
  display: string,
): Observation {
  return {
    resourceType: "Observation",
    id: chart.id("Observation"),
    status: "final",
    category: [hl7("observation-category", category)],
    code: conceptOf(loinc, code, display),
    subject: chart.patient,
    encounter: to("Encounter", visit.encounter),
    effectiveDateTime: at(visit.date, visit.hour, 10),
    issued: at(visit.date, visit.hour, 20),
    performer: [to("Practitioner", visit.practitioner)],
  };
}

export const quantity = (value: number, unit: string): Quantity => ({
  value,
  unit,
  system: ucum,
  code: unit,
});
