import type { DocumentReference } from "@medplum/fhirtypes";
import { at } from "./calendar.ts";
import { to, type Chart, type Visit } from "./chart.ts";
import { conceptOf, hl7, loinc, narrative } from "./vocabulary.ts";

/** A note in prose: words that no field of a policy can separate. */
export function note(
  chart: Chart,
  visit: Visit,
  kind: { readonly code: string; readonly display: string },
  words: string,
): DocumentReference {
  const { person, patient, id } = chart;
  const text = `${kind.display}\nPatient: ${[...person.given, person.family].join(" ")}, born ${person.birthDate}\n${visit.date}: ${words}\n`;
  return {
    resourceType: "DocumentReference",
    id: id("DocumentReference"),
    text: narrative(words),
    status: "current",
    docStatus: "final",
    type: conceptOf(loinc, kind.code, kind.display),
    category: [hl7("v3-ActClass", "DOC")],
    subject: patient,
    date: at(visit.date, visit.hour, 45),
    author: [to("Practitioner", visit.practitioner)],
    custodian: to("Organization", visit.organization),
    content: [
      {
        attachment: {
          contentType: "text/plain; charset=utf-8",
          data: Buffer.from(text).toString("base64"),
          title: kind.display,
        },
      },
    ],
    context: { encounter: [to("Encounter", visit.encounter)] },
  };
}

export const progressNote = { code: "11506-3", display: "Progress note" };
/** 45 CFR 164.501, psychotherapy notes: separate from the rest of the record. */
export const psychotherapyNote = { code: "80741-8", display: "Psychotherapy Note" };
