import { searchset, uuid, type Sample } from "../data/payloads.ts";

/** One body to cut by one view. */
export interface RedactCase {
  readonly id: "redact-2k" | "redact-60k" | "redact-1500k" | "redact-keep-all-60k";
  /** The request below the FHIR base whose answer the body is. */
  readonly request: string;
  /** The policy's rules: a document of the policy language. */
  readonly policy: unknown;
  /** FHIR base of the origin, as it stands in the body. */
  readonly originBase: string;
  readonly body: string;
  /** The share of the body's bytes that the answer has to have, roughly: a view of 60 %, or all of it. */
  readonly share: number;
  /** The patient of the rows, if the case is also measured with a Consent and with labels by codes. */
  readonly patient?: string;
}

const originBase = "https://origin.internal.example/fhir";

const policyOf = (type: string, show: readonly string[] | "everything") => ({
  format: "phylax.policy.v1",
  name: "bench",
  title: "For the benchmark",
  purposes: ["HPAYMT"],
  rules: [
    {
      types: [type],
      interactions: ["read", "search"],
      show,
      why: "45 CFR 164.506(c)(3): the minimum necessary, for the benchmark.",
      examples: [{ says: "A row is read.", request: `${type}/1`, is: "permitted" }],
    },
  ],
});

// Each list keeps about 60 % of the bytes of Synthea's resources, which the group checks.
const patientView = [
  "meta.lastUpdated",
  "identifier[system=http://hospital.smarthealthit.org,https://github.com/synthetichealth/synthea,http://hl7.org/fhir/sid/us-ssn]",
  "name",
  "telecom",
  "birthDate",
  "gender",
  "address",
  "maritalStatus",
  "communication",
];
const observationView = [
  "status",
  "code.coding.system",
  "code.coding.code",
  "subject.reference",
  "effectiveDateTime",
  "valueQuantity",
];
const claimView = [
  "status",
  "use",
  "type",
  "patient.reference",
  "created",
  "billablePeriod",
  "provider.reference",
  "priority",
  "insurance",
  "total",
];

/** The cases of the group, from real-looking resources. */
export function redactCases({ patients, laboratory, claims }: Sample): readonly RedactCase[] {
  const patient = { ...patients[0], id: uuid("patient 0") };
  const observations = `Observation?patient=${patient.id}&_count=100`;
  const claimsOf = `Claim?patient=${patient.id}&_count=1000`;
  const page = searchset(observations, laboratory, patient.id, 60_000).replaceAll("{base}", originBase);
  return [
    {
      id: "redact-2k",
      request: `Patient/${patient.id}`,
      policy: policyOf("Patient", patientView),
      originBase,
      body: JSON.stringify(patient),
      share: 0.6,
    },
    {
      id: "redact-60k",
      request: observations,
      policy: policyOf("Observation", observationView),
      originBase,
      body: page,
      share: 0.6,
      patient: patient.id,
    },
    {
      id: "redact-1500k",
      request: claimsOf,
      policy: policyOf("Claim", claimView),
      originBase,
      body: searchset(claimsOf, claims, patient.id, 1_450_000).replaceAll("{base}", originBase),
      share: 0.6,
    },
    {
      id: "redact-keep-all-60k",
      request: observations,
      policy: policyOf("Observation", "everything"),
      originBase,
      body: page,
      share: 1,
    },
  ];
}
