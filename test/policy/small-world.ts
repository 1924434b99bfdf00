import type { JsonObject } from "#fhir/json/json";
import type { PolicyDocument, PolicyRule } from "#policy/schema";
import { policy, rule } from "./granting.ts";

/**
 * The choices of a property test, in order; an exhausted tape continues with zeros, so that it shrinks to the
 * plainest case.
 */
export class Tape {
  readonly #choices: readonly number[];
  #at = 0;

  constructor(choices: readonly number[]) {
    this.#choices = choices;
  }

  below(count: number): number {
    const choice = this.#choices[this.#at] ?? 0;
    this.#at += 1;
    return choice % count;
  }

  of<T>(...list: readonly [T, ...T[]]): T {
    return list[this.below(list.length)] ?? list[0];
  }

  some<T>(list: readonly T[]): T[] {
    return list.filter(() => this.below(2) === 1);
  }
}

export type Row = JsonObject & { readonly resourceType: string; readonly id: string };

/** A resource in its current and its earlier version. */
export interface Kept {
  readonly now: Row;
  readonly before: Row | undefined;
}

export const types = [
  "Patient",
  "Encounter",
  "Observation",
  "Condition",
  "Appointment",
  "Practitioner",
] as const;
export const patients = ["ann", "ben", "cy"] as const;
const practitioners = ["vera", "otto"] as const;
const to = (reference: string) => ({ reference, display: canary() });

let counter = 0;
/** A text that is unique in all worlds: if it appears, its element leaked. */
const canary = (): string => `k${(counter += 1)}z`;
const day = (): string => {
  counter += 1;
  return new Date(Date.UTC(1950, 0, 1) + counter * 86_400_000).toISOString().slice(0, 10);
};
/** Every canary of a text, and every date, each of which is a canary. */
export const canariesIn = (text: string): readonly string[] =>
  text.match(/k\d+z|\d{4}-\d{2}-\d{2}(?!T)/gu) ?? [];

/** The records of two patients and a third, of the same clinic; owners, labels and references are chosen. */
export function worldOf(tape: Tape): readonly Kept[] {
  counter = 0;
  const kept = (make: () => Row): Kept => {
    const before = tape.below(3) === 1 ? make() : undefined;
    return { now: make(), before };
  };
  return [
    ...practitioners.map((id) => kept(() => practitioner(id))),
    ...patients.map((id) => kept(() => patient(id, tape))),
    ...["e1", "e2", "e3"].map((id) => kept(() => encounter(id, tape))),
    ...["o1", "o2", "o3", "o4", "o5"].map((id) => kept(() => observation(id, tape))),
    ...["c1", "c2"].map((id) => kept(() => condition(id, tape))),
    ...["a1", "a2"].map((id) => kept(() => appointment(id, tape))),
  ];
}

const meta = (tape: Tape) => ({
  lastUpdated: "2026-01-01T00:00:00Z",
  ...(tape.below(6) === 1
    ? { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }] }
    : {}),
});
const anyPatient = (tape: Tape) => to(`Patient/${tape.of(...patients)}`);
const anyPractitioner = (tape: Tape) => to(`Practitioner/${tape.of(...practitioners)}`);
const coded = (code = canary()) => ({
  coding: [{ system: "urn:s", code, display: canary() }],
  text: canary(),
});
const category = (tape: Tape) => [{ coding: [{ system: "urn:c", code: tape.of("lab", "vital") }] }];
const narrative = () => ({
  status: "generated",
  div: `<div xmlns="http://www.w3.org/1999/xhtml">${canary()}</div>`,
});
const extension = () => [{ url: "urn:ext", valueString: canary() }];

const practitioner = (id: string): Row => ({
  resourceType: "Practitioner",
  id,
  meta: { lastUpdated: "2026-01-01T00:00:00Z" },
  text: narrative(),
  name: [{ family: canary(), given: [canary()] }],
  telecom: [{ system: "phone", value: canary() }],
});

const patient = (id: string, tape: Tape): Row => ({
  resourceType: "Patient",
  id,
  meta: meta(tape),
  text: narrative(),
  extension: extension(),
  identifier: [
    { system: "urn:a", value: canary() },
    { system: "urn:b", value: canary() },
  ],
  name: [{ family: canary(), given: [canary()] }],
  telecom: [{ system: "phone", value: canary() }],
  birthDate: day(),
  _birthDate: { extension: extension() },
  address: [{ city: canary() }],
  generalPractitioner: [anyPractitioner(tape)],
  link: [{ other: anyPatient(tape), type: "seealso" }],
});

const encounter = (id: string, tape: Tape): Row => ({
  resourceType: "Encounter",
  id,
  meta: meta(tape),
  identifier: [
    { system: "urn:a", value: canary() },
    { system: "urn:b", value: canary() },
  ],
  status: tape.of("finished", "planned"),
  class: { system: "urn:s", code: canary() },
  subject: anyPatient(tape),
  participant: [{ individual: anyPractitioner(tape) }],
  reasonCode: [coded()],
});

/** An observation of a subject or, without a subject, of a participant; it may mention further patients. */
function observation(id: string, tape: Tape): Row {
  const hasSubject = tape.below(5) !== 1;
  return {
    resourceType: "Observation",
    id,
    meta: meta(tape),
    text: narrative(),
    contained: [{ resourceType: "Practitioner", id: "in", name: [{ family: canary() }] }],
    status: tape.of("final", "amended"),
    category: category(tape),
    code: coded(tape.below(4) === 1 ? "shared" : canary()),
    ...(hasSubject ? { subject: anyPatient(tape) } : {}),
    focus: [anyPatient(tape)],
    encounter: to(`Encounter/${tape.of("e1", "e2", "e3")}`),
    effectiveDateTime: day(),
    performer: [hasSubject ? tape.of(anyPatient(tape), anyPractitioner(tape), to("#in")) : anyPatient(tape)],
    valueString: canary(),
    note: [{ text: canary() }],
    method: coded(),
  };
}

const condition = (id: string, tape: Tape): Row => ({
  resourceType: "Condition",
  id,
  meta: meta(tape),
  category: category(tape),
  code: coded(),
  subject: anyPatient(tape),
  encounter: to(`Encounter/${tape.of("e1", "e2", "e3")}`),
  recorder: anyPractitioner(tape),
  note: [{ text: canary() }],
});

const appointment = (id: string, tape: Tape): Row => ({
  resourceType: "Appointment",
  id,
  meta: meta(tape),
  status: "booked",
  description: canary(),
  comment: canary(),
  participant: [
    { actor: anyPatient(tape), status: "accepted" },
    { actor: tape.below(2) === 1 ? anyPatient(tape) : anyPractitioner(tape), status: "accepted" },
  ],
});

const paths: Readonly<Record<string, readonly string[]>> = {
  Patient: [
    "identifier",
    "identifier[system=urn:a]",
    "name",
    "name.family",
    "telecom",
    "birthDate",
    "address.city",
    "generalPractitioner",
    "link",
    "text",
  ],
  Encounter: [
    "identifier",
    "identifier[system=urn:a]",
    "class",
    "subject",
    "participant",
    "participant.individual",
    "reasonCode",
  ],
  Observation: [
    "category",
    "code",
    "code.coding",
    "subject",
    "encounter",
    "effective[x]",
    "performer",
    "value[x]",
    "note",
    "method",
    "contained",
    "focus",
  ],
  Condition: ["category", "code", "code.text", "subject", "encounter", "recorder", "note"],
  Appointment: ["description", "participant", "participant.actor"],
  Practitioner: ["name", "name.family", "telecom", "text"],
};

const referring = [
  "Encounter:participant",
  "Observation:performer",
  "Patient:general-practitioner",
  "Condition:asserter",
  "Appointment:actor",
];

/** Some rules for each type, of random views, conditions and interactions. */
export function policyOf(tape: Tape): PolicyDocument {
  const rules = types.flatMap((type) =>
    Array.from({ length: tape.of(1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 0) }, () => ruleOf(type, tape)),
  );
  return { ...policy(...rules), operations: ["everything", "lastn"] };
}

function ruleOf(type: (typeof types)[number], tape: Tape): PolicyRule {
  const shown = tape.some(paths[type] ?? []);
  const hasCategory = type === "Observation" || type === "Condition";
  const where = hasCategory
    ? tape.of(
        undefined,
        undefined,
        [{ path: "category", in: ["urn:c|lab"] }],
        [{ path: "category", notIn: ["urn:c|lab"] }],
      )
    : undefined;
  const referredBy = type === "Practitioner" ? tape.some(referring) : [];
  return rule([type], tape.below(3) === 0 || shown.length === 0 ? "everything" : shown, {
    interactions: tape.below(5) > 0 ? ["read", "search"] : tape.of(["read"], ["search"]),
    ...(where === undefined ? {} : { where }),
    ...(tape.below(2) === 1 ? { extensions: ["urn:ext"] } : {}),
    ...(referredBy.length === 0 ? {} : { referredBy }),
  });
}

/** Some scopes, in the form of a token. */
export function scopesOf(tape: Tape): readonly string[] {
  return Array.from({ length: 1 + tape.below(3) }, () => {
    const query = tape.of(
      "",
      "",
      "",
      "",
      "",
      "?category=urn:c|lab",
      "?category=vital",
      "?code=urn:s|shared",
      "?category=vital&status=final",
    );
    return `${tape.of("patient", "system", "user", "patient", "system")}/${tape.below(5) > 0 ? "*" : tape.of(...types)}.${tape.of("rs", "rs", "rs", "rs", "rs", "rs", "r", "s")}${query}`;
  });
}

// Elements that a slice shows in part are asked for more often: such a condition is the hardest to meet.
const parameters: Readonly<Record<string, readonly string[]>> = {
  Patient: [
    "_id",
    "identifier",
    "identifier",
    "identifier",
    "identifier",
    "name",
    "family",
    "given",
    "phone",
    "birthdate",
    "address-city",
    "general-practitioner",
    "link",
  ],
  Encounter: [
    "_id",
    "identifier",
    "identifier",
    "identifier",
    "identifier",
    "status",
    "class",
    "patient",
    "subject",
    "participant",
    "practitioner",
    "reason-code",
  ],
  Observation: [
    "_id",
    "status",
    "category",
    "code",
    "patient",
    "subject",
    "encounter",
    "date",
    "performer",
    "value-string",
    "method",
    "focus",
  ],
  Condition: ["_id", "category", "code", "patient", "encounter", "asserter"],
  Appointment: ["_id", "status", "patient", "actor", "practitioner", "date"],
  Practitioner: ["_id", "name", "family", "phone", "telecom"],
};
const includes: Readonly<Record<string, readonly string[]>> = {
  Patient: [
    "_include=Patient:general-practitioner",
    "_include=Patient:link",
    "_revinclude=Observation:subject",
    "_revinclude=Observation:performer",
    "_revinclude=Appointment:actor",
  ],
  Encounter: [
    "_include=Encounter:participant",
    "_include=Encounter:subject",
    "_revinclude=Observation:encounter",
    "_revinclude=Condition:encounter",
  ],
  Observation: [
    "_include=Observation:performer",
    "_include=Observation:encounter",
    "_include=*",
    "_include=Observation:focus",
    "_include:iterate=Encounter:participant",
    "_include:iterate=Encounter:subject",
  ],
  Condition: [
    "_include=Condition:encounter",
    "_include=Condition:subject",
    "_include:iterate=Encounter:participant",
  ],
  Appointment: ["_include=Appointment:actor", "_include:iterate=Patient:general-practitioner"],
  Practitioner: ["_revinclude=Observation:performer", "_revinclude=Encounter:participant"],
};
const joins: Readonly<Record<string, readonly string[]>> = {
  Patient: [
    "general-practitioner:Practitioner.",
    "_has:Observation:patient:",
    "_has:Encounter:subject:",
    "_has:Observation:performer:",
    "_has:Appointment:actor:",
  ],
  Encounter: [
    "patient.",
    "participant:Practitioner.",
    "_has:Observation:encounter:",
    "_has:Condition:encounter:",
  ],
  Observation: [
    "patient.",
    "encounter.",
    "performer:Practitioner.",
    "performer:Patient.",
    "focus:Patient.",
    "encounter.participant:Practitioner.",
  ],
  Condition: ["patient.", "encounter.", "asserter:Practitioner."],
  Appointment: ["actor:Patient.", "practitioner."],
  Practitioner: [
    "_has:Observation:performer:",
    "_has:Encounter:participant:",
    "_has:Patient:general-practitioner:",
  ],
};
const target = (join: string, type: string): string => {
  const last = join.startsWith("_has:")
    ? (join.split(":")[1] ?? type)
    : (join.slice(0, -1).split(".").at(-1) ?? "");
  if (join.startsWith("_has:")) return last;
  const named = last.split(":")[1];
  return named ?? (last === "patient" ? "Patient" : last === "encounter" ? "Encounter" : "Practitioner");
};

/**
 * A read, an older version, a list, or a search by existing or absent values of the world, known to the asker
 * or not.
 */
export function requestOf(tape: Tape, world: readonly Kept[]): string {
  const { now } = tape.of(...(world as readonly [Kept, ...Kept[]])); // there are seventeen
  const type = now.resourceType;
  switch (tape.below(9)) {
    case 0:
      return `${type}/${tape.of(now.id, "nobody")}`;
    case 1:
      return `${type}/${now.id}/_history/${tape.of("1", "2")}`;
    case 2:
      return `${type}/${now.id}/_history${tape.of("", "?_count=1")}`;
    case 3:
      return `Patient/${tape.of(...patients)}/$everything${tape.of("", `?_type=${tape.of(...types)}`, "?_count=2")}`;
    case 4:
      return `Observation/$lastn?patient=${tape.of(...patients)}&max=2${tape.of("", "&category=urn:c|lab", "&code=urn:s|shared")}`;
    default: {
      const asked = Array.from({ length: tape.of(0, 1, 1, 2) }, () => conditionOf(tape, world, type));
      const brought = tape.below(3) === 1 ? tape.some(includes[type] ?? []) : [];
      const order = tape.below(4) === 1 ? [`_sort=${tape.of("", "-")}${parameterOf(tape, type)}`] : [];
      const paged = tape.below(3) === 1 ? [`_count=${tape.of(1, 2)}`] : [];
      return `${type}?${[...asked, ...brought, ...order, ...paged].join("&")}`;
    }
  }
}

function conditionOf(tape: Tape, world: readonly Kept[], type: string): string {
  const join = tape.below(3) === 1 ? tape.of("", ...(joins[type] ?? [])) : "";
  const of = join === "" ? type : target(join, type);
  const name = parameterOf(tape, of);
  if (tape.below(8) === 1) return `${join}${name}:missing=${tape.of("true", "false")}`;
  return `${join}${name}=${encodeURIComponent(valueOf(tape, world, of, name))}`;
}

const parameterOf = (tape: Tape, type: string): string => tape.of("_id", ...(parameters[type] ?? []));

const searched: Readonly<Record<string, string>> = {
  family: "name",
  given: "name",
  phone: "telecom",
  birthdate: "birthDate",
  "address-city": "address",
  "general-practitioner": "generalPractitioner",
  practitioner: "participant",
  patient: "subject",
  actor: "participant",
  asserter: "recorder",
  date: "effectiveDateTime",
  "reason-code": "reasonCode",
  "value-string": "valueString",
};

/** A value that a row of the type has in the parameter's element, or elsewhere; with a system or without. */
function valueOf(tape: Tape, world: readonly Kept[], type: string, name: string): string {
  const rows = world.filter(({ now }) => now.resourceType === type);
  const row = rows[tape.below(rows.length)]?.now;
  if (name === "_id") return row?.id ?? "none";
  if (name === "category") return tape.of("urn:c|lab", "vital");
  if (name === "status") return tape.of("finished", "final", "booked");
  const element = tape.below(6) === 1 ? row : row?.[searched[name] ?? name];
  const said = JSON.stringify(element ?? row);
  const some = (pattern: RegExp): string => {
    const found = said.match(pattern) ?? [];
    return found[tape.below(Math.max(found.length, 1))] ?? "none";
  };
  if (name === "date" || name === "birthdate")
    return `${tape.of("", "gt", "le")}${some(/\d{4}-\d{2}-\d{2}(?!T)/gu)}`;
  if (
    /^(?:patient|subject|encounter|participant|practitioner|performer|focus|asserter|actor|link|general-practitioner)$/u.test(
      name,
    )
  )
    return some(/[A-Z][a-z]+\/[a-z]+\d?/gu);
  if (name === "identifier") {
    const at = tape.below(2);
    const value = said.match(/k\d+z/gu)?.[at] ?? "none";
    return tape.of(`${at === 0 ? "urn:a" : "urn:b"}|${value}`, value);
  }
  const text = tape.below(6) === 1 ? "shared" : some(/k\d+z/gu);
  return tape.of(text, `urn:s|${text}`);
}
