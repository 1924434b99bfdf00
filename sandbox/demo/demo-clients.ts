import { assurance } from "../identity-provider/assurance.ts";

/** A client of the demonstration: its name, its purpose, and its description in the output of `npm start`. */
export interface DemoClient {
  readonly id: string;
  readonly kind: string;
  /** Subject of its certificate, in encoding order. */
  readonly subject: string;
  readonly auth: "private_key_jwt" | "tls_client_auth" | "external";
  /** It proves a key with each request and has no certificate in the registry. */
  readonly dpop?: true;
  /** It signs each request (RFC 9421) with the key of its assertions, and each answer to it is signed. */
  readonly signed?: true;
  readonly purpose: string;
  /** File in `policies/`, or `emergency-room`: `treat` for an emergency. */
  readonly policy: string;
  /** The sign-in that an emergency demands, and its longest time (docs/break-glass.md). */
  readonly breakGlass?: { readonly acr: readonly string[]; readonly maxSeconds: number };
  readonly scope: string;
  readonly quota: { readonly requests: number; readonly windowSeconds: number };
  /** A second quota for each user, and for the disclosed resources. */
  readonly quotaPerSubject?: { readonly requests: number; readonly windowSeconds: number };
  readonly quotaOfRecords?: { readonly records: number; readonly windowSeconds: number };
  readonly agreement: { readonly from: string; readonly to: string; readonly kind?: "data-use" };
  /**
   * Limited to the patient that the demonstration chose. The client is left out if the data has no patient.
   */
  readonly ofPatient?: true;
  readonly describe: string;
}

const addresses: Readonly<Record<string, string>> = {
  "Bay Records Exchange": "200 Wharf Street, Springfield",
  "Harbor Health Plan": "12 Harbor Road, Springfield",
  "Lantern Privacy Office": "5 Lantern Lane, Springfield",
  "Lantern Quality Review": "5 Lantern Lane, Springfield",
  "Lantern Telehealth": "5 Lantern Lane, Springfield",
  "Northern University": "2 Campus Road, Springfield",
  "State Department of Health": "1 Health Plaza, Springfield",
};

/** The entity of a client: the organization of its certificate, with the address that accountings state. */
export function entityOf({ subject }: DemoClient): { readonly name: string; readonly address?: string } {
  const name = /^O=([^,]+)/u.exec(subject)?.[1] ?? subject;
  return { name, ...(addresses[name] !== undefined && { address: addresses[name] }) };
}

const common = {
  auth: "private_key_jwt",
  scope: "system/*.rs",
  quota: { requests: 6_000, windowSeconds: 60 },
  agreement: { from: "2026-01-01T00:00:00Z", to: "2036-01-01T00:00:00Z" },
} as const;

export const demoClients: readonly DemoClient[] = [
  {
    ...common,
    id: "telehealth",
    kind: "telehealth",
    subject: "O=Lantern Telehealth, CN=telehealth",
    purpose: "TREAT",
    policy: "treat",
    quota: { requests: 60_000, windowSeconds: 60 },
    describe: "a telehealth service that treats: nearly everything is shown",
  },
  {
    ...common,
    id: "telehealth-mobile",
    kind: "telehealth",
    subject: "O=Lantern Telehealth, CN=telehealth-mobile",
    dpop: true,
    purpose: "TREAT",
    policy: "treat",
    describe: "the same service without a certificate: it proves a key with each request (DPoP)",
  },
  {
    ...common,
    id: "exchange",
    kind: "exchange",
    subject: "O=Bay Records Exchange, CN=exchange",
    signed: true,
    purpose: "TREAT",
    policy: "treat",
    describe:
      "a records exchange that signs each request, and to which each answer is signed (docs/registry.md)",
  },
  {
    ...common,
    id: "charting",
    kind: "telehealth",
    subject: "O=Lantern Telehealth, CN=charting",
    purpose: "TREAT",
    policy: "treat",
    scope: "system/*.cruds",
    describe:
      "the telehealth service's charting system: it writes what it treats, where the policy lets it (docs/writes.md)",
  },
  {
    ...common,
    id: "emergency-room",
    kind: "telehealth",
    subject: "O=Lantern Telehealth, CN=emergency-room",
    auth: "external",
    purpose: "ETREAT",
    policy: "emergency-room",
    breakGlass: { acr: [assurance.twoFactors.acr], maxSeconds: 60 },
    describe:
      "a physician who breaks the glass for a minute: each request states the emergency (docs/break-glass.md)",
  },
  {
    ...common,
    id: "payer",
    kind: "payer",
    subject: "O=Harbor Health Plan, CN=payer",
    purpose: "HPAYMT",
    policy: "hpaymt",
    describe: "a health plan that pays: what a claim needs, no notes, no narrative",
  },
  {
    ...common,
    id: "public-health",
    kind: "public-health",
    subject: "O=State Department of Health, CN=public-health",
    purpose: "PUBHLTH",
    policy: "pubhlth",
    describe: "a public health authority: reportable conditions, labs and immunizations",
  },
  {
    ...common,
    id: "operations",
    kind: "operations",
    subject: "O=Lantern Quality Review, CN=operations",
    auth: "tls_client_auth",
    purpose: "HOPERAT",
    policy: "hoperat",
    describe: "a quality review that proves itself at the token endpoint by its certificate alone",
  },
  {
    ...common,
    id: "privacy-officer",
    kind: "operations",
    subject: "O=Lantern Privacy Office, CN=privacy-officer",
    purpose: "HOPERAT",
    policy: "privacy-office",
    describe: "the privacy office: asks for patients' accountings of disclosures, and sees nothing else",
  },
  {
    ...common,
    id: "research",
    kind: "research",
    subject: "O=Northern University, CN=research",
    purpose: "HRESCH",
    policy: "hresch",
    describe: "a study under a data use agreement: a limited data set, no names, no exact places",
  },
  {
    ...common,
    id: "study",
    kind: "research",
    subject: "O=Northern University, CN=study",
    purpose: "HRESCH",
    policy: "hresch-safe-harbor",
    describe: "a study of de-identified rows (docs/de-identification.md)",
  },
  {
    ...common,
    id: "limited-study",
    kind: "research",
    subject: "O=Northern University, CN=limited-study",
    purpose: "HRESCH",
    policy: "hresch-limited",
    agreement: { ...common.agreement, kind: "data-use" },
    describe: "a study under a data use agreement: a limited data set with dates, towns and ZIP Codes",
  },
  {
    ...common,
    id: "patient-app",
    kind: "patient",
    subject: "O=Open Chart, CN=patient-app",
    auth: "external",
    purpose: "PATRQT",
    policy: "patrqt",
    scope: "patient/*.rs",
    ofPatient: true,
    describe: "a patient's own app, held to one patient; its tokens come from the sandbox's issuer",
  },
  {
    ...common,
    id: "patient-web",
    kind: "patient",
    subject: "O=Open Chart, CN=patient-web",
    auth: "external",
    dpop: true,
    purpose: "PATRQT",
    policy: "patrqt",
    scope: "patient/*.rs",
    quotaPerSubject: { requests: 600, windowSeconds: 60 },
    describe:
      "an app in which patients sign in at the sandbox's identity provider (docs/sign-in.md): each sees their own record",
  },
  {
    ...common,
    id: "diary",
    kind: "patient",
    subject: "O=Open Chart, CN=diary",
    auth: "external",
    purpose: "PATRQT",
    policy: "patrqt",
    scope: "patient/*.rs patient/Observation.c patient/QuestionnaireResponse.c",
    ofPatient: true,
    describe: "a diary on a patient's phone: it reads their record and adds what they measured",
  },
  {
    ...common,
    id: "tiny",
    kind: "tiny",
    subject: "O=Small Steps, CN=tiny",
    purpose: "TREAT",
    policy: "treat",
    quota: { requests: 5, windowSeconds: 60 },
    describe: "a client with five requests a minute: the sixth is 429",
  },
  {
    ...common,
    id: "sampler",
    kind: "tiny",
    subject: "O=Small Steps, CN=sampler",
    purpose: "TREAT",
    policy: "treat",
    quotaOfRecords: { records: 25, windowSeconds: 60 },
    describe:
      "a client to which 25 resources a minute may leave: a page that holds more than are left is 429",
  },
  {
    ...common,
    id: "lapsed",
    kind: "telehealth",
    subject: "O=Formerly Connected, CN=lapsed",
    purpose: "TREAT",
    policy: "treat",
    agreement: { from: "2024-01-01T00:00:00Z", to: "2025-01-01T00:00:00Z" },
    describe: "a client whose agreement has lapsed: it gets no token",
  },
];
