import { largest } from "#kernel/largest";
import type { Instant } from "#kernel/clock";
import type { RegistrySql } from "#platform/registry/registry-sql";
import type { Pseudonyms } from "./consent-names.ts";

/** The rows of a refiling. */
export interface Refiled {
  /** Rows that are wholly under the first key since this call. */
  readonly refiled: number;
  /** Rows of Consents and of readings with a pseudonym that is not known to be under the first key. */
  readonly remaining: number;
}

/**
 * Files the rows of patients and of Consents under their pseudonyms of the first key, in a single transaction: every
 * version, with its number. A version keeps the pseudonym that records have as `recorded_as`. The active version stays
 * if two have the same number, as `presentOf` decides. A Consent that is not in force for a named
 * patient needs its key no longer (`ended`): a later version is filed under a listed key.
 */
export async function refileRows(
  registry: RegistrySql,
  patients: readonly Pseudonyms[],
  consents: readonly Pseudonyms[],
  keyId: string,
  at: Instant,
): Promise<Refiled> {
  const statement = (text: string, ...values: readonly (string | number)[]) =>
    registry.prepare(text).bind(...values);
  const count = () =>
    statement(
      `SELECT (SELECT count(*) FROM consents
          WHERE key_id IS NOT ?1 OR (consent_key_id IS NOT ?1 AND consent_key_id IS NOT 'ended'))
        + (SELECT count(*) FROM consent_readings WHERE key_id IS NOT ?1) AS remaining`,
      keyId,
    );
  const subjects = firstNames(patients);
  const rows = await registry.batch<{ remaining: number }>([
    count(),
    ...renamings(consents).flatMap((pairs) => [
      statement(inactiveLosers("consent", "subject"), pairs),
      statement(
        `UPDATE OR REPLACE consents SET recorded_as = coalesce(recorded_as, consent), consent = ${newName}
         FROM json_each(?) AS pair WHERE consents.consent = ${formerName}`,
        pairs,
      ),
      statement(
        `UPDATE consent_readings SET seen = (SELECT json_group_array(coalesce(
            (SELECT ${newName} FROM json_each(?1) AS pair WHERE ${formerName} = name.value), name.value))
          FROM json_each(consent_readings.seen) AS name)
         WHERE subject IN (SELECT subject FROM consents
           WHERE consent IN (SELECT ${newName} FROM json_each(?1) AS pair))`,
        pairs,
      ),
    ]),
    ...renamings(patients).flatMap((pairs) => [
      statement(inactiveLosers("subject", "consent"), pairs),
      statement(
        `UPDATE OR REPLACE consents SET subject = ${newName}
         FROM json_each(?) AS pair WHERE consents.subject = ${formerName}`,
        pairs,
      ),
      statement(
        `INSERT INTO consent_readings (subject, read_at, seen, claim, claimed_until, key_id)
         SELECT ${newName}, read_at, seen, claim, claimed_until, key_id
         FROM json_each(?) AS pair JOIN consent_readings ON subject = ${formerName} WHERE true
         ON CONFLICT (subject) DO UPDATE SET read_at = max(read_at, excluded.read_at),
           seen = (SELECT json_group_array(value) FROM (SELECT value FROM json_each(consent_readings.seen)
             UNION SELECT value FROM json_each(excluded.seen)))`,
        pairs,
      ),
      statement(
        `DELETE FROM consent_readings WHERE subject IN (SELECT ${formerName} FROM json_each(?) AS pair)`,
        pairs,
      ),
    ]),
    statement(`UPDATE consents SET key_id = ? WHERE subject ${among}`, keyId, subjects),
    statement(`UPDATE consents SET consent_key_id = ? WHERE consent ${among}`, keyId, firstNames(consents)),
    statement(
      `UPDATE consents SET consent_key_id = 'ended' WHERE consent_key_id IS NOT ? AND subject ${among}
         AND 0 = (SELECT newest.is_active FROM consents AS newest
           WHERE newest.subject = consents.subject AND newest.consent = consents.consent
           ORDER BY newest.change DESC LIMIT 1)`,
      keyId,
      subjects,
    ),
    statement(
      `UPDATE consent_readings SET key_id = ?, seen = (SELECT json_group_array(name.value)
          FROM json_each(consent_readings.seen) AS name WHERE name.value IN (SELECT consent FROM consents
            WHERE consents.subject = consent_readings.subject AND consent_key_id IS NOT 'ended'))
       WHERE subject ${among}`,
      keyId,
      subjects,
    ),
    // A reading of a patient without a Consent says only when the patient is to be read again.
    statement(
      `DELETE FROM consent_readings WHERE key_id IS NOT ? AND claimed_until <= ?
         AND NOT EXISTS (SELECT 1 FROM consents WHERE consents.subject = consent_readings.subject)`,
      keyId,
      at,
    ),
    count(),
  ]);
  const [before, after] = [rows[0], rows.at(-1)].map((answer) => answer?.results[0]?.remaining);
  if (before === undefined || after === undefined) throw new Error("D1 counted no rows");
  return { refiled: before - after, remaining: after };
}

const formerName = "pair.value ->> 0";
const newName = "pair.value ->> 1";
const among = "IN (SELECT value FROM json_each(?))";

const firstNames = (all: readonly Pseudonyms[]): string => JSON.stringify(all.map(([name]) => name));

/** A JSON array of pairs for each former key: a former pseudonym, and the pseudonym under the first key. */
const renamings = (all: readonly Pseudonyms[]): readonly string[] => {
  const formerKeys = largest(
    all.map((names) => names.length - 1),
    0,
  );
  return Array.from({ length: formerKeys }, (_, index) =>
    JSON.stringify(all.map((names) => [names[index + 1], names[0]])),
  );
};

/** Deletes versions that are not active, if a version with the same number has the new name. */
const inactiveLosers = (column: "consent" | "subject", further: "consent" | "subject"): string =>
  `DELETE FROM consents WHERE is_active = 0
     AND ${column} IN (SELECT ${formerName} FROM json_each(?1) AS pair)
     AND EXISTS (SELECT 1 FROM json_each(?1) AS pair JOIN consents AS rival
       ON rival.${column} = ${newName} AND rival.${further} = consents.${further}
         AND rival.change = consents.change
       WHERE ${formerName} = consents.${column})`;
