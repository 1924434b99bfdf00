import type { ReadValue } from "./read-json.ts";

/** A group of patients that the file shows alike. */
export interface LikePatients {
  /** Birth year, sex, ZIP3, State, year of death and race, with `-` for an absent value. */
  readonly shown: string;
  readonly patients: number;
}

/**
 * The k-table: groups of patients that the quasi-identifiers make, the smallest first. A patient alone in a
 * group is the easiest to find again.
 */
export function likenessOf(resources: readonly ReadValue[]): readonly LikePatients[] {
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
];

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
