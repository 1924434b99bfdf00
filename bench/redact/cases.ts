import type { Observation } from "@medplum/fhirtypes";
import { searchset, uuid, type Sample } from "../data/payloads.ts";
import type { MeasureId } from "../measures.ts";
import { askingConsents, labellingConsent } from "./consent.ts";

/** A body to cut by one view: the worker loads many, each by its name. */
export interface RedactSubject {
  /** The request below the FHIR base whose answer the body is. */
  readonly request: string;
  /** The policy's rules: a document of the policy language. */
  readonly policy: unknown;
  /** FHIR base of the origin, as it stands in the body. */
  readonly originBase: string;
  readonly body: string;
  /** The Consents of the rows' patient; undefined: Consents are not asked for. */
  readonly consents?: { readonly patient: string; readonly resources: readonly unknown[] };
}

/** The ways to make a form (45 CFR 164.514) of a shown answer: see {@link formRows}. */
export const formHows = ["safe-harbor", "limited-data-set", "coded", "asked", "jobs"] as const;

/** `engine` has the body in one piece, `windows` in pieces of 64 KiB; `json` parses and stringifies. */
export type RedactHow = "engine" | "windows" | "json" | (typeof formHows)[number];

/** The work of a slice: a subject, cut in one way. */
export interface RedactWork {
  readonly subject: SubjectName;
  readonly how: RedactHow;
}

/** A figure of the group: `speed`: the first's speed ÷ the second's; `cpu`: the first's CPU ÷ the second's. */
export interface RedactRow {
  readonly id: MeasureId;
  readonly by: "speed" | "cpu";
  readonly works: readonly [RedactWork, RedactWork];
}

/** How many codes the conditions of a rule list, condition by condition, and the page that they judge. */
const codeLists = {
  "codes-1": { page: "laboratory", lists: [1] },
  "codes-50": { page: "laboratory", lists: [50] },
  "codes-200": { page: "laboratory", lists: [200] },
  "codes-5x200": { page: "laboratory", lists: [200, 200, 200, 200, 200] },
  "codes-5x200-distinct": { page: "distinct", lists: [200, 200, 200, 200, 200] },
} as const;
type CodeLists = keyof typeof codeLists;
const codeListNames = Object.keys(codeLists) as CodeLists[];

const consentCounts = { "consents-0": 0, "consents-1": 1, "consents-50": 50 } as const;
type ConsentCounts = keyof typeof consentCounts;
const consentNames = Object.keys(consentCounts) as ConsentCounts[];

export type SubjectName =
  | "2k"
  | "60k"
  | "60k-consented"
  | "1500k"
  | "keep-all-60k"
  | "laboratory"
  | "distinct"
  | CodeLists
  | ConsentCounts;

const work = (subject: SubjectName, how: RedactHow = "engine"): RedactWork => ({ subject, how });
const besideJson = (id: MeasureId, subject: SubjectName): RedactRow => ({
  id,
  by: "speed",
  works: [work(subject), work(subject, "json")],
});

export const redactRows: readonly RedactRow[] = [
  besideJson("redact-2k", "2k"),
  besideJson("redact-60k", "60k"),
  { id: "redact-60k-consent-share", by: "speed", works: [work("60k-consented"), work("60k")] },
  besideJson("redact-1500k", "1500k"),
  { id: "redact-stream-share", by: "speed", works: [work("1500k", "windows"), work("1500k")] },
  besideJson("redact-keep-all-60k", "keep-all-60k"),
  ...codeListNames.map((name): RedactRow => ({
    id: `redact-${name}`,
    by: "cpu",
    works: [work(name), work(codeLists[name].page)],
  })),
  ...(["consents-1", "consents-50"] as const).map((name): RedactRow => ({
    id: `redact-${name}`,
    by: "cpu",
    works: [work(name), work("consents-0")],
  })),
];

/**
 * Each form is measured beside the cut that shows the same page. `coded` has the codes that the isolate remembers, `asked`
 * the codes of a call of the data set's object, and the other forms have codes at hand: the transforms alone. `jobs` is
 * the gateway's call, with remembered codes. The Worker of an earlier tree makes no forms, so no tree is compared.
 */
export const formRows: readonly RedactRow[] = (
  [
    ["form-safe-harbor-60k", "safe-harbor"],
    ["form-limited-60k", "limited-data-set"],
    ["form-coded-60k", "coded"],
    ["form-asked-60k", "asked"],
    ["form-jobs-60k", "jobs"],
  ] as const
).map(([id, how]) => ({ id, by: "cpu", works: [work("keep-all-60k", how), work("keep-all-60k")] }));

const originBase = "https://origin.internal.example/fhir";

interface Listing {
  readonly where?: readonly unknown[];
  readonly labels?: unknown;
}

const policyOf = (type: string, show: readonly string[] | "everything", { where, labels }: Listing = {}) => ({
  format: "phylax.policy.v1",
  name: "bench",
  title: "For the benchmark",
  purposes: ["HPAYMT"],
  ...(labels !== undefined && { labels }),
  rules: [
    {
      types: [type],
      interactions: ["read", "search"],
      ...(where !== undefined && { where }),
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

/** The subjects of the group, from real-looking resources. */
export function redactSubjects({
  patients,
  laboratory,
  claims,
}: Sample): Readonly<Record<SubjectName, RedactSubject>> {
  const patient = { ...patients[0], id: uuid("patient 0") };
  const observations = `Observation?patient=${patient.id}&_count=100`;
  const claimsOf = `Claim?patient=${patient.id}&_count=1000`;
  const page = (rows: readonly Observation[]) => ({
    request: observations,
    originBase,
    body: searchset(observations, rows, patient.id, 60_000).replaceAll("{base}", originBase),
  });
  const view = policyOf("Observation", observationView);
  const observed = page(laboratory);
  const pages = {
    laboratory: { ...page(laboratory.map(asJudged)), policy: view },
    distinct: {
      ...page(laboratory.map((row, n) => asJudged(ofCode(row, `${10_000 + n}-${n % 10}`), n))),
      policy: view,
    },
  };
  const consents = (resources: readonly unknown[]) => ({ patient: patient.id, resources });
  const listing = (name: CodeLists): readonly [CodeLists, RedactSubject] => {
    const { page, lists } = codeLists[name];
    const where = lists.map((many, at) => ({ path: "code", notIn: codesListed(many, at) }));
    return [name, { ...pages[page], policy: policyOf("Observation", observationView, { where }) }];
  };
  const consented = (name: ConsentCounts): readonly [ConsentCounts, RedactSubject] => {
    const resources = askingConsents(patient.id, consentCounts[name], { system: loinc, code: hiddenCode });
    return [name, { ...pages.laboratory, consents: consents(resources) }];
  };
  return {
    "2k": {
      request: `Patient/${patient.id}`,
      policy: policyOf("Patient", patientView),
      originBase,
      body: JSON.stringify(patient),
    },
    "60k": { ...observed, policy: view },
    "60k-consented": {
      ...observed,
      policy: policyOf("Observation", observationView, {
        labels: { fromCodes: true, throughReferences: false },
      }),
      consents: consents([labellingConsent(patient.id)]),
    },
    "1500k": {
      request: claimsOf,
      policy: policyOf("Claim", claimView),
      originBase,
      body: searchset(claimsOf, claims, patient.id, 1_450_000).replaceAll("{base}", originBase),
    },
    "keep-all-60k": { ...observed, policy: policyOf("Observation", "everything") },
    ...pages,
    ...(Object.fromEntries(codeListNames.map(listing)) as Record<CodeLists, RedactSubject>),
    ...(Object.fromEntries(consentNames.map(consented)) as Record<ConsentCounts, RedactSubject>),
  };
}

const loinc = "http://loinc.org";
/** The code that the lists and the Consents keep back, so that the check sees them decide. */
export const hiddenCode = "99999-9";
const hiddenRow = 7;

const ofCode = (row: Observation, code: string): Observation => ({
  ...row,
  code: { ...row.code, coding: [{ ...row.code.coding?.[0], system: loinc, code }] },
});

/** A row that Consents can judge by its author; one row has the code that is kept back. */
const asJudged = (row: Observation, n: number): Observation => ({
  ...(n === hiddenRow ? ofCode(row, hiddenCode) : row),
  performer: [{ reference: "Practitioner/laboratory" }],
});

/** Codes that no row has, and at the end the code that is kept back. */
const codesListed = (many: number, condition: number): readonly string[] =>
  Array.from({ length: many }, (_, n) =>
    n === many - 1 ? `${loinc}|${hiddenCode}` : `${loinc}|${50_000 + condition * 1_000 + n}-${n % 10}`,
  );
