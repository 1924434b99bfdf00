import { readConsent } from "#policy/consent/read-consent";
import type { FiledConsents } from "../data/payloads.ts";

const codes = "http://terminology.hl7.org/CodeSystem/";
const coding = (system: string, code: string) => ({ coding: [{ system, code }] });

/**
 * A Consent that permits, but for a code, an author and a time that no row of the benchmark has: each row has to
 * be judged by all three, and leaves.
 */
const consentOf = (patient: string, n: number) => ({
  resourceType: "Consent",
  status: "active",
  scope: coding(`${codes}consentscope`, "patient-privacy"),
  patient: { reference: `Patient/${patient}` },
  dateTime: "2026-01-01",
  provision: {
    type: "permit",
    provision: [
      { type: "deny", code: [coding("http://loinc.org", `${90_000 + n}-1`)] },
      {
        type: "deny",
        data: [{ meaning: "authoredby", reference: { reference: `Practitioner/other-${n}` } }],
      },
      { type: "deny", dataPeriod: { start: `${1900 + n}-01-01`, end: `${1900 + n}-12-31` } },
    ],
  },
});

/** The states to file for a patient, as `control` takes them. */
export function filingsFor({ patient, count }: FiledConsents, originBase: string): readonly object[] {
  return Array.from({ length: count }, (_, n) => ({
    consent: `${patient}-${n}`.slice(0, 64),
    content: { patient, rules: readConsent(JSON.parse(JSON.stringify(consentOf(patient, n))), originBase) },
    mayPermit: true,
    filedBy: undefined,
  }));
}
