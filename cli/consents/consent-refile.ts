import { resourceAtOrigin } from "#fhir/origin";
import { readFileSync } from "node:fs";
import * as z from "zod";
import { postAsOperator, posterOf, posterOptions, refusedBy } from "../connection/operator-post.ts";
import { giveResult, say } from "../output.ts";
import { namesGiven, requirePatients } from "../records/patient-names.ts";
import { readCall } from "../read-call.ts";

const consentReference = resourceAtOrigin("Consent");
const answer = z.object({ refiled: z.number(), remaining: z.number() });
const namesMax = 100; // of each type in one request to the operators' door

/**
 * Files Consents under the first key of `CONSENT_KEY`: the patients and Consents of the arguments, and of a file with a
 * reference on each line (`--patients`). Without a name it counts the rows that are left under another key. Returns
 * 0 when that is done, 2 when it is refused.
 */
export async function consentRefile(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, { ...posterOptions, patients: { type: "string" } });
  const listed = values.patients === undefined ? [] : readFileSync(values.patients, "utf8").split(/\s+/u);
  const names = [...new Set(namesGiven([...positionals, ...listed]))];
  const { consents = [], patients = [] } = Object.groupBy(names, (name) =>
    consentReference.test(name) ? "consents" : "patients",
  );
  requirePatients(patients);
  let [refiled, remaining] = [0, 0];
  const most = Math.max(1, patients.length, consents.length);
  for (let from = 0; from < most; from += namesMax) {
    const body = JSON.stringify({
      patients: patients.slice(from, from + namesMax),
      consents: consents.slice(from, from + namesMax),
    });
    const reply = await postAsOperator(posterOf(values), "api/consents/refilings", body);
    if (reply.status !== 200) throw refusedBy(reply);
    const done = answer.parse(reply.body);
    refiled += done.refiled;
    ({ remaining } = done);
  }
  giveResult({ refiled, remaining });
  say(`${refiled} rows are filed under the first key now`);
  say(
    remaining === 0
      ? "0 rows remain under another key than the first: step `NEW` of docs/keys.md may follow step `NEW OLD`, not step `OLD NEW`"
      : `${remaining} rows remain under another key than the first, of patients or Consents that were not named: keep every key`,
  );
  return 0;
}
