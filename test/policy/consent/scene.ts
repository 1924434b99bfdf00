import { readJson, isObject, type JsonObject } from "#fhir/json/json";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { judgeConsent, type ConsentRequest, type KnownParty } from "#policy/consent/judge-consent";
import { readConsent } from "#policy/consent/read-consent";
import { rowFactsOf } from "#policy/consent/row-facts";

export const base = "https://origin.example/fhir";
const thp = "http://terminology.hl7.org/CodeSystem/";

export function resource(value: unknown): JsonObject {
  const read = readJson(utf8(JSON.stringify(value)));
  if (!read.ok || !isObject(read.value)) throw new Error("not a resource");
  return read.value;
}

/** A party by its names: `Type/id`, or `system|value`. */
export const party = (names: readonly string[], complete: readonly string[] = []): KnownParty => ({
  references: new Set(names.filter((name) => !name.includes("|"))),
  identifiers: new Set(names.filter((name) => name.includes("|"))),
  complete: new Set(complete),
});

export interface Asking {
  readonly purpose?: string;
  readonly who?: readonly string[];
  readonly complete?: readonly string[];
  readonly holder?: readonly string[];
  readonly action?: "read" | "write";
  readonly at?: string;
}

export const requestOf = ({
  purpose = "TREAT",
  who = ["Practitioner/p", "Organization/o"],
  complete = ["Group"],
  holder = ["Organization/here"],
  action = "read",
  at = "2026-11-27T12:00:00Z",
}: Asking = {}): ConsentRequest => ({
  purpose,
  recipient: party(who, complete),
  holder: party(holder),
  action,
  at: instant(Date.parse(at)),
});

export const coding = (code: string, system: string) => ({ system: `${thp}${system}`, code });
export const purpose = (code: string) => coding(code, "v3-ActReason");
export const recipient = (reference: object) => ({
  role: { coding: [coding("IRCP", "v3-ParticipationType")] },
  reference,
});
export const level = (code: string) => coding(code, "v3-Confidentiality");
export const sensitivity = (code: string) => coding(code, "v3-ActCode");

/** An active privacy Consent of one patient. */
export const consent = (provision: object | undefined, more: object = {}) =>
  resource({
    resourceType: "Consent",
    status: "active",
    scope: { coding: [coding("patient-privacy", "consentscope")] },
    patient: { reference: "Patient/1" },
    dateTime: "2026-01-01",
    ...(provision !== undefined && { provision }),
    ...more,
  });

export const observation = (more: object = {}) =>
  resource({
    resourceType: "Observation",
    id: "o1",
    subject: { reference: "Patient/1" },
    code: { coding: [{ system: "http://loinc.org", code: "2339-0" }] },
    performer: [{ reference: "Practitioner/author" }],
    effectiveDateTime: "2022-06-01",
    ...more,
  });

export const verdict = (document: JsonObject, asking: Asking = {}, row: JsonObject = observation()): string =>
  judgeConsent(readConsent(document, base), requestOf(asking), rowFactsOf(row, base)).verdict;
