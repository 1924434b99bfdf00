/** The patient's Consent for the case: normal rows leave, each row about HIV or substance use stays. */
export const consentOf = (patient: string) => ({
  resourceType: "Consent",
  status: "active",
  scope: {
    coding: [{ system: "http://terminology.hl7.org/CodeSystem/consentscope", code: "patient-privacy" }],
  },
  patient: { reference: `Patient/${patient}` },
  dateTime: "2026-01-01",
  provision: {
    type: "permit",
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
  },
});
