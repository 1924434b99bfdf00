import type { AuditEvent, PatientCounts, What } from "#audit/event";
import { instant } from "#kernel/clock";

/**
 * The content of one append of the gateway. `written`: the outcome of a write, with the disclosure of the
 * returned resource.
 */
export const appendNames = [
  "read",
  "treatment",
  "search",
  "list",
  "refusal",
  "intent",
  "written",
  "token",
] as const;
export type AppendName = (typeof appendNames)[number];

export const appendsSaid: Readonly<Record<AppendName, string>> = {
  read: "a Patient read for payment: 24 paths withheld, 1 accounting line",
  treatment: "the same read for treatment: nothing withheld, 1 line",
  search: "20 Observations of one patient for treatment, 1 line",
  list: "20 Patients for payment, 20 lines",
  refusal: "a search by a hidden parameter, refused, no line",
  intent: "before a write is sent, no line",
  written: "how it ended, and the disclosure of what came back: 2 records, 1 line",
  token: "an access token, no line",
};

// The paths that policies/hpaymt.json withholds from a Patient, as the record names them.
const withheldPaths = (
  "meta.extension meta.versionId meta.source meta.profile meta.tag language text contained extension identifier[else] name.extension " +
  "name.text name.period telecom deceasedDateTime maritalStatus multipleBirth[x] photo contact communication generalPractitioner " +
  "managingOrganization link.extension link.other"
).split(" ");

/**
 * The `n`th append of a run: invented people and ids as long as real ones, and every member that the gateway
 * writes (a test compares the members).
 */
export function appendOf(name: AppendName, run: string, n: number, at: number): readonly AuditEvent[] {
  const base = { ...common, id: hex(run, n), at: instant(at) };
  const patient = { patient: `main/Patient/${patientId(run, n)}`, counts: {} };
  const resident = { ...patient, state: "MA" }; // the gateway had this patient's Patient resource
  switch (name) {
    case "read":
      return [
        { ...base, ...payment, ...disclosed("Patient", [resident]), what: read(patientId(run, n)), withheld },
      ];
    case "treatment":
      return [
        {
          ...base,
          ...treatment,
          ...disclosed("Patient", [resident]),
          what: read(patientId(run, n)),
          withheld: nothingWithheld,
        },
      ];
    case "search": {
      const patients = [{ ...patient, counts: { Observation: 20 } }];
      return [
        {
          ...base,
          ...treatment,
          ...shown,
          patients,
          counts: { Observation: 20 },
          what: search(run, n),
          withheld: nothingWithheld,
        },
      ];
    }
    case "list": {
      const patients = Array.from({ length: 20 }, (_, i) => ({
        ...resident,
        patient: `main/Patient/${patientId(run, n * 20 + i)}`,
      }));
      return [{ ...base, ...payment, ...disclosed("Patient", patients), what: list, withheld }];
    }
    case "refusal":
      return [
        {
          ...base,
          ...payment,
          kind: "refusal",
          what: hidden,
          outcome: { status: 403, reason: "parameter_hidden" },
          decision: { by: "policy", place: "/rules" },
        },
      ];
    case "intent":
      return [{ ...base, ...treatment, kind: "intent", patients: [patient], what: create, outcome: {} }];
    case "written": {
      const what = { ...create, id: patientId(run, n) };
      const outcome = { status: 201, reason: undefined };
      const written = { ...base, ...treatment, kind: "write", patients: [patient], what, outcome, step: 1 };
      const answer = disclosed("Observation", [patient], 201);
      return [written, { ...base, ...treatment, ...answer, what, withheld: nothingWithheld, step: 2 }];
    }
    case "token":
      return [
        {
          ...base,
          ...asksForToken,
          kind: "token",
          what: { interaction: "token", origin: "main", method: "POST" },
        },
      ];
  }
}

// Room for the facts that a row decides, as the gateway asks for it with these views, which hide no owner.
const reserve = { names: 0, unseen: [], counts: {}, unnamed: [] } as const;

/** The `n`th append of a run as the ledger gets it: as long as its worst case. A token decides on no row. */
export function reservedAppendOf(
  name: AppendName,
  run: string,
  n: number,
  at: number,
): readonly AuditEvent[] {
  const events = appendOf(name, run, n, at);
  return name === "token" ? events : events.map((event) => Object.assign(event, { reserve }));
}

const hex = (run: string, n: number): string => `${run}${n.toString(16).padStart(32 - run.length, "0")}`;

/** A UUID, which most servers use as id. */
function patientId(run: string, n: number): string {
  const id = hex(run, n);
  return [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join("-");
}

const who = {
  issuer: "https://fhir.example.org",
  jkt: undefined,
  subject: undefined,
  user: undefined,
  patient: undefined,
};
const common = {
  from: { address: "198.51.100.217" },
  outcome: { status: 200 },
  patients: [],
  unnamed: [],
  counts: {},
  traceId: undefined,
} as const;
const callerOf = (client: string, purpose: string) => ({
  who: {
    ...who,
    client,
    certificate: "made-up-thumbprint-of-a-certificate-43-long",
    tokenId: "b3ea1238a11f6dd5b496bc9db9fc1579",
  },
  why: {
    purposes: [purpose],
    agreement: `${client}-agreement`,
    policy: `sha256:${"97e7c7e8f73c5367".repeat(4)}`,
    grant: `${client}/main/${purpose}`,
  },
});
const payment = callerOf("harbor-health", "HPAYMT");
const treatment = callerOf("lantern-telehealth", "TREAT");

const { agreement, purposes } = treatment.why;
const asksForToken = { who: { ...treatment.who, issuer: undefined }, why: { agreement, purposes } };

const shown = { kind: "disclosure", outcome: { status: 200 } } as const;
const withheld = { paths: withheldPaths, resources: 0 };
const nothingWithheld = { paths: [], resources: 0 };
const disclosed = (type: string, patients: readonly PatientCounts[], status = 200) => ({
  kind: "disclosure",
  outcome: { status },
  patients: patients.map((one) => ({ ...one, counts: { [type]: 1 } })),
  counts: { [type]: patients.length },
});

const read = (id: string): What => ({
  interaction: "read",
  origin: "main",
  type: "Patient",
  id,
  method: "GET",
  path: `Patient/${id}`,
});
const list: What = {
  interaction: "search-type",
  origin: "main",
  type: "Patient",
  parameters: [["birthdate", "ge1980-01-01"]],
  method: "GET",
  path: "Patient",
};
const hidden: What = { ...list, parameters: [["phone", "555-0100"]] };
const search = (run: string, n: number): What => ({
  ...list,
  type: "Observation",
  parameters: [["patient", patientId(run, n)]],
  path: "Observation",
});
const create: What = {
  interaction: "create",
  origin: "main",
  type: "Observation",
  method: "POST",
  path: "Observation",
};
