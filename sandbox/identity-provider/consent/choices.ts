/** A kind of sensitive record about which a person chooses, with its codes in v3-ActCode. */
export interface Category {
  /** The name of the form's field. */
  readonly id: string;
  readonly words: string;
  readonly codes: readonly string[];
}

/** In the order of the page. The codes are those of the published value sets (docs/consent.md). */
export const categories: readonly Category[] = [
  { id: "substance-use", words: "Alcohol, drugs and other substances", codes: ["ETH", "SUD"] },
  { id: "hiv", words: "HIV and AIDS", codes: ["HIV"] },
  { id: "mental-health", words: "Mental health", codes: ["PSY", "MH", "BH"] },
  { id: "sexual-health", words: "Sexual and reproductive health", codes: ["SEX", "STD", "PREGNANT"] },
  { id: "violence", words: "Violence and abuse", codes: ["VIO", "SDV"] },
  { id: "genetic", words: "Genetic disease", codes: ["GDIS"] },
];

/** The ids of the categories that a person shares with those who treat the person. */
export type Choices = ReadonlySet<string>;

export const noChoices: Choices = new Set();

/** The choices in a form: a box that is not ticked is not sent. */
export const choicesIn = (form: URLSearchParams): Choices =>
  new Set(categories.map(({ id }) => id).filter((id) => form.get(`share-${id}`) === "yes"));

const hl7 = (system: string, code: string) => ({
  system: `http://terminology.hl7.org/CodeSystem/${system}`,
  code,
});

/**
 * The choices as a FHIR Consent: for treatment, restricted records are denied, except for the shared categories.
 * A record of two categories needs both. The Consent is silent about records without a label.
 */
export const consentOf = (patient: string, shared: Choices, at: Date) => ({
  resourceType: "Consent",
  status: "active",
  scope: { coding: [hl7("consentscope", "patient-privacy")] },
  category: [{ coding: [hl7("v3-ActCode", "IDSCL")] }],
  patient: { reference: `Patient/${patient}` },
  dateTime: at.toISOString(),
  policyRule: { coding: [hl7("v3-ActCode", "OPTOUT")] },
  provision: {
    type: "deny",
    purpose: [hl7("v3-ActReason", "TREAT")],
    securityLabel: [hl7("v3-Confidentiality", "R")],
    ...(shared.size > 0 && {
      provision: [
        {
          type: "permit",
          securityLabel: categories
            .filter(({ id }) => shared.has(id))
            .flatMap(({ codes }) => codes.map((code) => hl7("v3-ActCode", code))),
        },
      ],
    }),
  },
});
