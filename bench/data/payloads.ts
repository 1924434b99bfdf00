import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bundle, Claim, Observation, Patient, Resource } from "@medplum/fhirtypes";
import { readFolder } from "../../sandbox/fhir-server/load.ts";
import { syntheticResources } from "../../sandbox/synthetic/generate.ts";

/** The requests of the benchmark. */
export const payloadNames = [
  "2k",
  "60k",
  "half",
  "patients-2",
  "patients-20",
  "patients-100",
  "consents-0",
  "consents-1",
  "consents-50",
] as const;
export type PayloadName = (typeof payloadNames)[number];

/** The gateway's names of the origin. At `consents`, patients have Consents on file. */
export type OriginName = "main" | "consents";

/** One kind of request, for each patient in rotation. */
export interface Payload {
  readonly name: PayloadName;
  readonly says: string;
  readonly origin: OriginName;
  /** Below the FHIR base, all different. */
  readonly paths: readonly string[];
  /** Mean length of the origin's answers. */
  readonly originBytes: number;
  /** The rows of each answer that no rule hides, where their number is fixed. */
  readonly rows?: number | undefined;
}

/** A patient of the origin `consents`, with the number of Consents to file for the patient. */
export interface FiledConsents {
  readonly patient: string;
  readonly count: number;
}

export interface Data {
  readonly payloads: readonly Payload[];
  /** The source of the resources, for the report. */
  readonly source: string;
}

/** Real-looking resources to make payloads of. The base of the origin stands in them as `{base}`. */
export interface Sample {
  readonly source: string;
  readonly patients: readonly Patient[];
  readonly laboratory: readonly Observation[];
  readonly vitals: readonly Observation[];
  readonly claims: readonly Claim[];
}

const patientCount = 200;
/** The distinct pages of the origin: few, where a page is long or each patient has 50 Consents. */
const pageCount = 20;
const resourceBytes = 2_048;
// A page of a real server: 72 results of a Synthea patient.
const pageBytes = 60_000;
const synthea = ["synthea-2019", "synthea-2020", "synthea-2024"];
const syntheaFolder = join(import.meta.dirname, "../../../shared/data/fhir");

/** Synthea's resources next to the project, or the project's own synthetic patients if they are absent. */
export async function sampleResources(folder = syntheaFolder): Promise<Sample> {
  if (!existsSync(folder))
    return sampleOf(
      "the project's own synthetic data, filled up (no Synthea data next to the project)",
      syntheticResources(),
    );
  const read = await Promise.all(synthea.map((name) => readFolder(join(folder, name))));
  return sampleOf(
    `Synthea (${synthea.join(", ")})`,
    read.flatMap(({ resources }) => resources),
  );
}

function sampleOf(source: string, resources: readonly Resource[]): Sample {
  const observations = resources.filter((resource) => resource.resourceType === "Observation").map(stamped);
  const inCategory = (code: string) =>
    observations.filter(({ category }) =>
      category?.some(({ coding }) => coding?.some((one) => one.code === code)),
    );
  return {
    source,
    patients: resources
      .filter((resource) => resource.resourceType === "Patient")
      .filter(isPlain)
      .map((patient) => ofTwoKilobytes(stamped(patient))),
    laboratory: inCategory("laboratory"),
    vitals: inCategory("vital-signs"),
    claims: resources.filter((resource) => resource.resourceType === "Claim").map(stamped),
  };
}

/**
 * A Patient without the elements that Phylax masks instead of leaving them out, since the peers' cut has no
 * masks, and without a label, which would hide the row.
 */
const isPlain = ({ deceasedDateTime, deceasedBoolean, link, meta }: Patient) =>
  [deceasedDateTime, deceasedBoolean, link, meta?.security].every((element) => element === undefined);

/** Real servers stamp everything. */
const stamped = <T extends Resource>(resource: T): T => ({
  ...resource,
  meta: { ...resource.meta, versionId: "1", lastUpdated: "2026-10-31T23:00:00Z" },
});

/** Leaves out the last extensions of a longer Patient, and gives a shorter Patient a narrative that fills it up. */
function ofTwoKilobytes(patient: Patient): Patient {
  const { extension = [], ...rest } = patient;
  const bytes = (resource: Patient) => Buffer.byteLength(JSON.stringify(resource));
  const kept = extension.findLastIndex(
    (_, last) => bytes({ ...rest, extension: extension.slice(0, last + 1) }) <= resourceBytes,
  );
  const fitting = kept === -1 ? rest : { ...rest, extension: extension.slice(0, kept + 1) };
  if (bytes(fitting) > 0.95 * resourceBytes) return fitting;
  const { text: _short, ...bare } = fitting;
  const missing = Math.max(0, resourceBytes - bytes(bare) - 96); // 96: the narrative's own members and tags
  const words = "Seen for a visit, well, advised. ".repeat(Math.ceil(missing / 33)).slice(0, missing);
  return {
    ...bare,
    text: { status: "generated", div: `<div xmlns="http://www.w3.org/1999/xhtml">${words}</div>` },
  };
}

/**
 * The answer to a search for rows of one patient, up to a number of bytes and of rows; the rows start at an
 * offset and repeat.
 */
export function searchset(
  request: string,
  rows: readonly (Observation | Claim)[],
  patient: string,
  bytes: number,
  offset = 0,
  count = Number.MAX_SAFE_INTEGER,
): string {
  const reference = `Patient/${patient}`;
  const entry: NonNullable<Bundle["entry"]> = [];
  let length = 200;
  for (let n = offset; n < offset + count; n++) {
    const row = rows[n % rows.length];
    if (row === undefined) throw new Error("no row to make a page of");
    const id = n < offset + rows.length ? (row.id ?? "") : uuid(`${row.id} ${n}`); // an id stands once on a page
    const resource: Observation | Claim =
      row.resourceType === "Claim"
        ? { ...row, id, patient: { reference } }
        : { ...row, id, subject: { reference } };
    const next = {
      fullUrl: `{base}/${row.resourceType}/${id}`,
      resource,
      search: { mode: "match" as const },
    };
    length += JSON.stringify(next).length + 1;
    if (length > bytes) break;
    entry.push(next);
  }
  const link = [{ relation: "self", url: `{base}/${request}` }];
  return JSON.stringify({ resourceType: "Bundle", type: "searchset", total: entry.length, link, entry });
}

/** Vital signs, which the payer's policy hides, and laboratory results in turn. */
const halfHidden = ({ laboratory, vitals }: Sample): readonly Observation[] =>
  laboratory.flatMap((row, i) => [row, vitals[i % vitals.length] ?? row]);

type Answer = readonly [path: string, body: string];

interface PayloadForm {
  readonly says: string;
  readonly origin?: OriginName;
  readonly count: number;
  readonly rows?: number;
  readonly answer: (n: number) => Answer;
}

function payloadForms(sample: Sample): Readonly<Record<PayloadName, PayloadForm>> {
  const mixed = halfHidden(sample);
  const patientOf = (n: number, name: string): Patient => {
    const patient = sample.patients[n % sample.patients.length];
    if (patient === undefined) throw new Error("no patient to make a payload of");
    return { ...patient, id: uuid(name) };
  };
  const patients = (rows: number): PayloadForm => ({
    says: `page of ${rows} Patients, each cut`,
    count: pageCount,
    rows,
    answer: (n) => {
      const family = `page-${rows}-${n}`;
      const request = `Patient?family=${family}&_count=${rows}`;
      const page = Array.from({ length: rows }, (_, row): Patient => {
        const patient = patientOf(n + row, `row ${rows} ${n} ${row}`);
        return { ...patient, name: [{ ...patient.name?.[0], family }] };
      });
      return [request, searchsetOf(request, page)];
    },
  });
  const consents = (filed: number): PayloadForm => ({
    says: `page of 20 laboratory Observations of a patient with ${filed} Consents on file`,
    origin: "consents",
    count: pageCount,
    rows: 20,
    answer: (n) => pageWithAuthors(sample.laboratory, consentPatient(filed, n), n),
  });
  return {
    "2k": {
      says: "read of a Patient",
      count: patientCount,
      answer: (n) => {
        const patient = patientOf(n, `patient ${n}`);
        return [`Patient/${patient.id}`, JSON.stringify(patient)];
      },
    },
    "60k": {
      says: "page of laboratory Observations, each cut",
      count: patientCount,
      answer: (n) => pageOf(sample.laboratory, uuid(`patient ${n}`), n),
    },
    half: {
      says: "page of Observations: vital signs, which are hidden, and laboratory results in turn",
      count: patientCount,
      answer: (n) => pageOf(mixed, uuid(`half ${n}`), 2 * n),
    },
    "patients-2": patients(2),
    "patients-20": patients(20),
    "patients-100": patients(100),
    "consents-0": consents(0),
    "consents-1": consents(1),
    "consents-50": consents(50),
  };
}

const consentPatient = (filed: number, n: number) => uuid(`patient with ${filed} consents, ${n}`);

/** The Consents that the payloads need on file at the origin `consents`. */
export const filedConsents: readonly FiledConsents[] = [1, 50].flatMap((count) =>
  Array.from({ length: pageCount }, (_, n) => ({ patient: consentPatient(count, n), count })),
);

/** Makes the answers of the benchmark's origin and writes them to `<folder>/answers.json`, by path. */
export function writePayloads(folder: string, sample: Sample): Data {
  const forms = payloadForms(sample);
  const made = payloadNames.map((name) => ({
    name,
    answers: Array.from({ length: forms[name].count }, (_, n) => forms[name].answer(n)),
  }));
  writeFileSync(join(folder, "answers.json"), JSON.stringify(made.flatMap((one) => one.answers)));
  return {
    source: sample.source,
    payloads: made.map(({ name, answers }) => {
      const { says, origin = "main", rows } = forms[name];
      const bytes = answers.reduce((sum, [, body]) => sum + Buffer.byteLength(body), 0);
      return {
        name,
        says,
        origin,
        paths: answers.map(([path]) => path),
        originBytes: Math.round(bytes / answers.length),
        rows,
      };
    }),
  };
}

function pageOf(rows: readonly Observation[], patient: string, n: number): Answer {
  const request = `Observation?patient=${patient}`;
  return [request, searchset(request, rows, patient, pageBytes, 7 * n)];
}

/** Rows that state an author: a Consent about an author would deny a row that states none. */
function pageWithAuthors(rows: readonly Observation[], patient: string, n: number): Answer {
  const request = `Observation?patient=${patient}`;
  const performer = [{ reference: `Practitioner/${uuid("author")}` }];
  const authored = rows.map((row) => ({ ...row, performer }));
  return [request, searchset(request, authored, patient, Number.MAX_SAFE_INTEGER, 7 * n, 20)];
}

/** The answer to a search, with these resources. */
function searchsetOf(request: string, resources: readonly Resource[]): string {
  const entry = resources.map((resource) => ({
    fullUrl: `{base}/${resource.resourceType}/${resource.id}`,
    resource,
    search: { mode: "match" },
  }));
  const link = [{ relation: "self", url: `{base}/${request}` }];
  return JSON.stringify({ resourceType: "Bundle", type: "searchset", total: entry.length, link, entry });
}

/** An id of the form that most servers use, the same in every run. */
export function uuid(name: string): string {
  const hex = createHash("sha256").update(name).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}
