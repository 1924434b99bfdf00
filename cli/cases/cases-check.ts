import { consentsInSet, consentSetMax } from "#audit/consent-set";
import { Misuse } from "../misuse.ts";
import { posterOf, posterOptions } from "../connection/operator-post.ts";
import {
  countsWithinMilliseconds,
  patientsInRecord,
  recordsIn,
  versionsOnFile,
  type RecordLine,
  type ConsentOnRecord,
} from "../consents/consent-check.ts";
import { complain, giveResult, say } from "../output.ts";
import { printable } from "../printable.ts";
import { readNamedCall } from "../read-call.ts";
import { caseNamed } from "./cases-list.ts";

/**
 * Proves over opened records that each disclosure of rows of a disputed type, from ten seconds after the statement of
 * the case was filed to its withdrawal, was made with the statement (45 CFR 164.526(d)(5)). Returns 0; 1 with the
 * records that do not prove it; 2 when the question is refused or the case has no statement.
 */
export async function casesCheck(args: readonly string[]): Promise<number> {
  const { values, name: id } = readNamedCall(args, { ...posterOptions, records: { type: "string" } });
  if (values.records === undefined) throw new Misuse();
  const poster = posterOf(values);
  const found = await caseNamed(poster, id);
  const patient = `${found.origin}/${found.patient}`;
  const later = recordsIn(values.records);
  const versions = await versionsOnFile(values, [...new Set([patient, ...later.flatMap(patientsInRecord)])]);
  const own = versions.filter(({ consent }) => found.statementAs.includes(consent));
  if (found.statement === null || own.length === 0) {
    complain("the case has no statement");
    return 2;
  }
  const types = new Set([
    ...found.statement.rows.map((row) => row.slice(0, row.indexOf("/"))),
    ...containers,
  ]);
  const records = later.filter(
    ({ event }) =>
      event.kind === "disclosure" &&
      event.what?.interaction !== "$disclosures" && // its Bundle has no rows of the origin
      isInForce(own, event.at) &&
      event.patients.some(
        (each) => each.patient === patient && Object.keys(each.counts).some((type) => types.has(type)),
      ),
  );
  const ofRequest = Map.groupBy(later, ({ event }) => event.id);
  const lacking = records.filter(({ event: { id: request, consents } }) => {
    const patients = new Set((ofRequest.get(request) ?? []).flatMap(patientsInRecord));
    const known = versions.filter((version) => patients.has(version.patient));
    const isReadable = consents !== undefined && known.length <= consentSetMax;
    const set = isReadable ? consentsInSet(request, consents, known) : undefined;
    return set?.some((version) => own.includes(version)) !== true;
  });
  return report(id, records.length, lacking);
}

// A copy of a disputed row may be inside.
const containers = ["Bundle", "Parameters"];

/** Answers whether a statement counted everywhere at a time. @param own its versions, the oldest first. */
function isInForce(own: readonly ConsentOnRecord[], at: number): boolean {
  const last = own.findLast(({ filedAt }) => filedAt <= at);
  return last?.isActive === true && at > last.filedAt + countsWithinMilliseconds;
}

function report(id: string, records: number, lacking: readonly RecordLine[]): number {
  for (const { event, log, leaves } of lacking)
    say(printable(`${new Date(event.at).toISOString()} ${log}/${leaves[0]} does not name the statement`));
  giveResult({
    case: id,
    records,
    lacking: lacking.map(({ event, log, leaves }) => ({
      at: new Date(event.at).toISOString(),
      log,
      leaf: leaves[0] ?? null,
    })),
  });
  say(
    lacking.length === 0
      ? `yes: each of ${records} later disclosures was made with the statement`
      : `no: ${lacking.length} of ${records} later disclosures do not name the statement`,
  );
  return lacking.length === 0 ? 0 : 1;
}
