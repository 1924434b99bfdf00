import type { Encounter } from "@medplum/fhirtypes";
import { at, daysAgo, today } from "./calendar.ts";
import { to, type Chart, type Visit } from "./chart.ts";
import { clinics, locationOf, practitioners } from "./institutions.ts";
import { codingOf, conceptOf, icd10, narrative, snomed } from "./vocabulary.ts";

/** The visits of the last years, oldest first: about two a year, and no visit before birth or after death. */
export function visits({ person, random, id }: Chart): Visit[] {
  const last = typeof person.deceased === "string" ? person.deceased.slice(0, 10) : today;
  const days = Array.from({ length: 6 }, (_, i) => (5 - i) * 180 + random.int(10, 160));
  const dates = days.map(daysAgo).filter((date) => date > person.birthDate && date < last);
  return (dates.length === 0 ? [daysAgo(7)] : dates).map((date) => {
    const organization = random.pick(clinics);
    return {
      encounter: id("Encounter"),
      date,
      hour: random.int(8, 15),
      practitioner: random.pick(practitioners),
      organization,
      location: locationOf(organization),
    };
  });
}

export function encounter({ person, patient }: Chart, visit: Visit): Encounter {
  return {
    resourceType: "Encounter",
    id: visit.encounter,
    text: narrative(`${person.given[0] ?? ""} ${person.family} was seen on ${visit.date}.`),
    status: "finished",
    class: codingOf("v3-ActCode", "AMB", "ambulatory"),
    type: [conceptOf(snomed, "185349003", "Encounter for check up")],
    subject: patient,
    participant: [{ individual: to("Practitioner", visit.practitioner) }],
    period: { start: at(visit.date, visit.hour), end: at(visit.date, visit.hour, 30) },
    reasonCode: [conceptOf(icd10, "Z00.00", "General adult medical examination")],
    location: [{ location: to("Location", visit.location) }],
    serviceProvider: to("Organization", visit.organization),
  };
}
