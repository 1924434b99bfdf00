import { readFileSync } from "node:fs";
import * as z from "zod";
import { consentsInSet } from "#audit/consent-set";
import { Misuse } from "../misuse.ts";
import { postAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { printable } from "../printable.ts";
import { namesGiven, patientGiven, requirePatients } from "../records/patient-names.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

const answer = z.object({
  consents: z.array(
    z.object({
      patient: z.string(),
      consent: z.string(),
      digest: z.string(),
      isActive: z.boolean(),
      mayPermit: z.boolean(),
      filedBy: z.string().nullable(),
      filedAt: z.number(),
    }),
  ),
});
export type ConsentOnRecord = z.infer<typeof answer>["consents"][number];

/** A line of `phylax ledger read --json`, as far as the check reads it. */
const recordLine = z.object({
  log: z.string(),
  leaves: z.array(z.number()),
  event: z.object({
    id: z.string(),
    at: z.number(),
    kind: z.string(),
    what: z.object({ interaction: z.string().optional() }).optional(),
    patients: z.array(z.object({ patient: z.string(), counts: z.record(z.string(), z.number()) })),
    consents: z
      .string()
      .regex(/^[0-9a-f]{64}$/u)
      .optional(),
  }),
});
export type RecordLine = z.infer<typeof recordLine>;

// A withdrawal counts everywhere within ten seconds (docs/architecture.md, P4).
export const countsWithinMilliseconds = 10_000;
const patientsMax = 100; // of one question to the operators' door

/**
 * Lists the versions of the Consents of some patients: pseudonym, digest, time and authority. Returns 0, or 2
 * when it is refused.
 */
export async function consentList(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, posterOptions);
  const patients = namesGiven(positionals);
  if (patients.length === 0) throw new Misuse();
  requirePatients(patients);
  const found = await versionsOnFile(values, patients);
  giveResult(found);
  for (const { patient, consent, digest, isActive, mayPermit, filedBy, filedAt } of found) {
    const state = isActive ? (mayPermit ? "permits and denies" : "denies") : "not in force";
    const by = filedBy ?? "the origin";
    say(printable(`${patient} ${consent} ${digest} ${new Date(filedAt).toISOString()} ${state} by ${by}`));
  }
  if (found.length === 0) say("no Consents on file");
  return 0;
}

/**
 * Proves over opened records that a withdrawn Consent let nothing through ten seconds after its withdrawal. Returns
 * 0; 1 when a later record names it; 2 when the question is refused or the Consent is still in force.
 */
export async function consentCheck(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, { ...posterOptions, records: { type: "string" } });
  const [name, consent, ...more] = positionals;
  if (name === undefined || consent === undefined || more.length > 0 || values.records === undefined)
    throw new Misuse();
  const patient = patientGiven(name);
  const records = recordsIn(values.records).filter(({ event }) => event.consents !== undefined);
  const named = new Set([patient, ...records.flatMap(patientsInRecord)]);
  const versions = await versionsOnFile(values, [...named]);
  const own = versions.filter((version) => version.patient === patient && version.consent === consent);
  const last = own.at(-1);
  if (last === undefined || last.isActive) {
    complain(last === undefined ? "no such Consent is on file" : "the Consent is in force");
    return 2;
  }
  const withdrawn = own.findLast(({ isActive }, index) => !isActive && own[index - 1]?.isActive !== false);
  return report(records, versions, consent, withdrawn?.filedAt ?? last.filedAt);
}

function report(
  records: readonly RecordLine[],
  versions: readonly ConsentOnRecord[],
  consent: string,
  withdrawnAt: number,
): number {
  const ofRequest = Map.groupBy(records, ({ event }) => event.id);
  let [before, after, unnamed] = [0, 0, 0];
  const later: object[] = [];
  for (const record of records) {
    const { event } = record;
    const patients = new Set((ofRequest.get(event.id) ?? []).flatMap(patientsInRecord));
    const known = versions.filter((version) => patients.has(version.patient));
    const found = consentsInSet(event.id, event.consents ?? "", known);
    if (found === undefined) unnamed++;
    if (found?.some((version) => version.consent === consent) !== true) continue;
    if (event.at <= withdrawnAt + countsWithinMilliseconds) before++;
    else {
      after++;
      later.push({ at: new Date(event.at).toISOString(), log: record.log, leaf: record.leaves[0] ?? null });
      say(
        printable(`${new Date(event.at).toISOString()} ${record.log}/${record.leaves[0]} names the Consent`),
      );
    }
  }
  const withdrawn = new Date(withdrawnAt).toISOString();
  say(`withdrawn ${withdrawn}: ${records.length} records, ${before} name the Consent until ten seconds`);
  giveResult({ withdrawn, records: records.length, before, after: later, unnamed });
  say(`after it, and ${after} later; ${unnamed} name no Consent on file of their patients`);
  return after === 0 ? 0 : 1;
}

/** The opened records in a file. */
export const recordsIn = (file: string): readonly RecordLine[] =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => recordLine.parse(JSON.parse(line)));

export const patientsInRecord = ({ event }: RecordLine): readonly string[] =>
  event.patients.map(({ patient }) => patient);

export async function versionsOnFile(
  values: Parameters<typeof posterOf>[0],
  patients: readonly string[],
): Promise<readonly ConsentOnRecord[]> {
  const found: ConsentOnRecord[] = [];
  for (let from = 0; from < patients.length; from += patientsMax) {
    const some = patients.slice(from, from + patientsMax);
    const body = JSON.stringify({ patients: some });
    const reply = await postAsOperator(posterOf(values), "api/consents", body);
    if (reply.status !== 200) throw refusedBy(reply);
    found.push(...answer.parse(reply.body).consents);
  }
  return found;
}
