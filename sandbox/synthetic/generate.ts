import type { Resource } from "@medplum/fhirtypes";
import { ailment } from "./ailments.ts";
import { at } from "./calendar.ts";
import { counter, to, type Chart } from "./chart.ts";
import { note, progressNote } from "./documents.ts";
import { exceptions } from "./exceptions.ts";
import { institutions } from "./institutions.ts";
import { homeGlucose, laboratory, vitals } from "./observations.ts";
import { patient } from "./patient.ts";
import { claimOf, coverage } from "./payment.ts";
import { people, type SyntheticPerson } from "./people.ts";
import { allergy, immunization, procedure } from "./prevention.ts";
import { seeded } from "./random.ts";
import { sensitive } from "./sensitive.ts";
import { encounter, visits } from "./visits.ts";

/**
 * The sandbox's own data: synthetic patients rich enough to show every feature, valid R4, and equal for an
 * equal seed on any day. References follow the resources that they name. Numbers such as 7.10 keep their
 * digits through `JSON.stringify` (`written`).
 */
export function syntheticResources(seed = 1): Resource[] {
  const id = counter();
  const random = seeded(seed);
  const charts = people.map((person): Chart => ({ person, patient: to("Patient", person.id), random, id }));
  return [...institutions(), ...charts.flatMap(records)].map(dated);
}

function records(chart: Chart): Resource[] {
  const seen = visits(chart);
  const [first] = seen;
  const latest = seen.at(-1);
  if (first === undefined || latest === undefined) throw new Error("everyone is seen at least once");
  const covered = coverage(chart, memberNumber(chart.person));
  return [
    patient(chart),
    covered,
    ...seen.flatMap((visit) => [
      encounter(chart, visit),
      ...vitals(chart, visit),
      ...laboratory(chart, visit),
    ]),
    ...seen.map((visit) => immunization(chart, visit)),
    ...seen.flatMap((visit) => claimOf(chart, visit, covered.id ?? "")),
    procedure(chart, first),
    allergy(chart, first),
    ...chart.person.ailments.flatMap((name) => ailment(chart, name, first)),
    note(
      chart,
      latest,
      progressNote,
      `${chart.person.given[0] ?? ""} feels well and sleeps through. Next visit in six months.`,
    ),
    ...(chart.person.sensitive ?? []).flatMap((sensitivity) => sensitive(chart, latest, sensitivity)),
    ...(chart.person.id === "chen-wei" ? homeGlucose(chart) : []),
    ...exceptions(chart, latest),
  ];
}

/** The member's number in the family contract; 1 without a family. */
function memberNumber(person: SyntheticPerson): number {
  return (
    people
      .filter(({ subscriber }) => subscriber !== undefined && subscriber === person.subscriber)
      .findIndex(({ id }) => id === person.id) + 1 || 1
  );
}

/** Written when the visits were over: real servers stamp everything. */
function dated(resource: Resource): Resource {
  return { ...resource, meta: { ...resource.meta, lastUpdated: at("2026-10-31", 23) } };
}
