const scope = {
  coding: [{ system: "http://terminology.hl7.org/CodeSystem/consentscope", code: "patient-privacy" }],
};

const consentOf = (patient: string, provision: object) => ({
  resourceType: "Consent",
  status: "active",
  scope,
  patient: { reference: `Patient/${patient}` },
  dateTime: "2026-01-01",
  provision: { type: "permit", ...provision },
});

/** Normal rows leave, each row about HIV or substance use stays. */
export const labellingConsent = (patient: string) =>
  consentOf(patient, {
    securityLabel: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "N" }],
    provision: [
      {
        type: "deny",
        securityLabel: ["HIV", "SUD"].map((code) => ({
          system: "http://terminology.hl7.org/CodeSystem/v3-ActCode",
          code,
        })),
      },
    ],
  });

/**
 * Consents that permit all rows except those of an author, of a time and with a code. No row has such an author or
 * time; the last Consent denies the rows with the given code.
 */
export const askingConsents = (
  patient: string,
  many: number,
  denied: { readonly system: string; readonly code: string },
) =>
  Array.from({ length: many }, (_, n) => {
    const coding = n === many - 1 ? denied : { ...denied, code: `${70_000 + n}-${n % 10}` };
    const author = { reference: `Practitioner/former-${n}` };
    return consentOf(patient, {
      provision: [
        { type: "deny", data: [{ meaning: "authoredby", reference: author }] },
        { type: "deny", dataPeriod: { start: `${1901 + n}-01-01`, end: `${1901 + n}-12-31` } },
        { type: "deny", code: [{ coding: [coding] }] },
      ],
    });
  });
