import { mayBeDate } from "./identifiers.ts";
import type { ReadValue } from "./read-json.ts";

/** A group of patients that the file shows alike. */
export interface LikePatients {
  /** Birth year, sex, ZIP3, State, year of death, race, and the years of the patient's rows; `-` for an absent value. */
  readonly shown: string;
  readonly patients: number;
}

/**
 * The k-table: groups of patients that the quasi-identifiers make, the smallest first. A patient alone in a
 * group is the easiest to find again.
 */
export function likenessOf(resources: readonly ReadValue[]): readonly LikePatients[] {
  const dates = datesOf(resources);
  const groups = new Map<string, { readonly shown: string; patients: number }>();
  for (const resource of resources) {
    if (memberText(resource, "resourceType") !== "Patient") continue;
    const address = membersOf(firstOf(member(resource, "address")));
    const texts = [
      memberText(resource, "birthDate"),
      memberText(resource, "gender"),
      memberText(address, "postalCode"),
      memberText(address, "state"),
      memberText(resource, "deceasedDateTime"),
      raceOf(resource),
      datesText(dates.get(`Patient/${memberText(resource, "id")}`)),
    ];
    const shown = texts.map((text, at) =>
      text === undefined ? "-" : shows[at]?.test(text) === true ? text : "?",
    );
    const key = JSON.stringify(texts);
    const group = groups.get(key) ?? { shown: shown.join(" "), patients: 0 };
    group.patients += 1;
    groups.set(key, group);
  }
  return [...groups.values()].toSorted((a, b) => a.patients - b.patients || (a.shown < b.shown ? -1 : 1));
}

/** The forms that Safe Harbor permits. A value in a different form counts, and is shown as `?`. */
const shows = [
  /^\d{4}$/u,
  /^(?:male|female|other|unknown)$/u,
  /^\d{3}$/u,
  /^[A-Z]{2}$/u,
  /^\d{4}$/u,
  /^\d{4}-\d$/u,
  /^\d{4}(?:,\d{4})*$/u,
];

const datesText = (dates: ReadonlySet<string> | undefined): string | undefined =>
  dates && Array.from(dates).toSorted().join(",");

/** The dates of each patient's rows: of the rows that refer to the patient. */
function datesOf(resources: readonly ReadValue[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, Set<string>>();
  for (const resource of resources) {
    const [dates, patients] = [[] as string[], [] as string[]];
    noteTexts(resource, "", (text, name) => {
      if (name === "reference" && text.startsWith("Patient/")) patients.push(text);
      else if (/^\d{4}(?:-|$)/u.test(text) && mayBeDate(name)) dates.push(text);
    });
    for (const patient of dates.length > 0 ? patients : []) {
      const known = found.get(patient) ?? new Set();
      for (const date of dates) known.add(date);
      found.set(patient, known);
    }
  }
  return found;
}

function noteTexts(value: ReadValue, name: string, note: (text: string, name: string) => void): void {
  if (value.kind === "text") note(value.text, name);
  else if (value.kind === "list") for (const item of value.items) noteTexts(item, name, note);
  else if (value.kind === "object") for (const [member, each] of value.members) noteTexts(each, member, note);
}

const membersOf = (value: ReadValue | undefined): ReadValue => value ?? { kind: "object", members: [] };

function member(value: ReadValue, name: string): ReadValue | undefined {
  return value.kind === "object" ? value.members.find(([each]) => each === name)?.[1] : undefined;
}

function memberText(value: ReadValue, name: string): string | undefined {
  const found = member(value, name);
  return found?.kind === "text" ? found.text : undefined;
}

const firstOf = (value: ReadValue | undefined): ReadValue | undefined =>
  value?.kind === "list" ? value.items[0] : undefined;

function raceOf(patient: ReadValue): string | undefined {
  const extensions = member(patient, "extension");
  const race = (extensions?.kind === "list" ? extensions.items : []).find((each) =>
    memberText(each, "url")?.endsWith("/us-core-race"),
  );
  const first = race && firstOf(member(race, "extension"));
  return first && memberText(membersOf(member(first, "valueCoding")), "code");
}
