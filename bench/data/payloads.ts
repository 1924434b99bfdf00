import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bundle, Claim, Observation, Patient, Resource } from "@medplum/fhirtypes";
import { readFolder } from "../../sandbox/fhir-server/load.ts";
import { syntheticResources } from "../../sandbox/synthetic/generate.ts";

/** The requests of the benchmark, named by the size of the origin's answers. */
export const payloadNames = ["2k", "60k", "half"] as const;
export type PayloadName = (typeof payloadNames)[number];

export const payloadsSaid: Readonly<Record<PayloadName, string>> = {
  "2k": "read of a Patient",
  "60k": "page of laboratory Observations, each cut",
  half: "page of Observations: vital signs, which are hidden, and laboratory results in turn",
};

/** One kind of request, for each patient in rotation. */
export interface Payload {
  readonly name: PayloadName;
  /** Below the FHIR base, one for each patient. */
  readonly paths: readonly string[];
  /** Mean length of the origin's answers. */
  readonly originBytes: number;
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

/** Makes the answers of the benchmark's origin and writes them to `<folder>/answers.json`, by path. */
export function writePayloads(folder: string, sample: Sample): Data {
  const mixed = halfHidden(sample);
  const numbers = Array.from({ length: patientCount }, (_, n) => n);
  const patientOf = (n: number) => sample.patients[n % sample.patients.length];
  const answers: Readonly<Record<PayloadName, (n: number) => readonly [path: string, body: string]>> = {
    "2k": (n) => [
      `Patient/${uuid(`patient ${n}`)}`,
      JSON.stringify({ ...patientOf(n), id: uuid(`patient ${n}`) }),
    ],
    "60k": (n) => pageOf(sample.laboratory, uuid(`patient ${n}`), n),
    half: (n) => pageOf(mixed, uuid(`half ${n}`), 2 * n),
  };
  const made = payloadNames.map((name) => ({ name, answers: numbers.map(answers[name]) }));
  writeFileSync(join(folder, "answers.json"), JSON.stringify(made.flatMap((one) => one.answers)));
  return {
    source: sample.source,
    payloads: made.map(({ name, answers }) => ({
      name,
      paths: answers.map(([path]) => path),
      originBytes: Math.round(
        answers.reduce((sum, [, body]) => sum + Buffer.byteLength(body), 0) / answers.length,
      ),
    })),
  };
}

function pageOf(rows: readonly Observation[], patient: string, n: number): readonly [string, string] {
  const request = `Observation?patient=${patient}`;
  return [request, searchset(request, rows, patient, pageBytes, 7 * n)];
}

/** An id of the form that most servers use, the same in every run. */
export function uuid(name: string): string {
  const hex = createHash("sha256").update(name).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    "-",
  );
}
