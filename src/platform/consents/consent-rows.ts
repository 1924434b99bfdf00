import { createHash } from "node:crypto";
import { and, eq, inArray, isNull, ne, or, sql } from "drizzle-orm";
import * as z from "zod";
import type { ConsentRules } from "#policy/consent/consent";
import { storedFormOf } from "#policy/consent/stored-form";
import { instant } from "#kernel/clock";
import type { RecordName } from "#registry/revocation";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { consents } from "#platform/registry/schema";

/** A version of a Consent as `control` files it: pseudonyms, ids and codes, no prose. */
const consentRow = z.strictObject({
  origin: z.string(),
  /** The pseudonym of the patient (`consentNames`). */
  subject: z.string(),
  /** The pseudonym of the Consent resource. */
  consent: z.string(),
  /** SHA-256 of the form, in hex. */
  digest: z.string(),
  /** The compiled form (`storedFormOf`). */
  form: z.string(),
  isActive: z.boolean(),
  mayPermit: z.boolean(),
  /** The client that filed it; null for an origin. */
  filedBy: z.string().nullable(),
  filedAt: z.number().transform(instant),
});
export type ConsentRow = z.infer<typeof consentRow>;

/** A row as D1 has it. */
export interface FiledRow extends ConsentRow {
  /** The number of its change. */
  readonly change: number;
  /** The id of the key of its subject; null: it was filed before a version that notes the key. */
  readonly keyId: string | null;
}

/** A row that a change adds. */
export type NewRow = ConsentRow & Pick<FiledRow, "keyId">;

/** The content of a change: new versions, and Consents that are in force for no patient any more. */
const consentChange = z.strictObject({
  rows: z.array(consentRow),
  /** Pseudonyms of the Consents. */
  ended: z.array(z.string()),
  /** The id of the key under which the rows are filed. Absent in a change that an earlier version stored. */
  keyId: z.optional(z.string()),
  /** The pseudonyms under former keys of each patient and Consent that has them. */
  former: z.optional(z.record(z.string(), z.array(z.string()).readonly())),
});
export type ConsentChange = Readonly<z.infer<typeof consentChange>>;

/** Reads a change that `Revocations` stored. */
export const consentChangeOf = (document: string): ConsentChange => consentChange.parse(JSON.parse(document));

/** A version that is in force no longer. */
export const endedVersion = ({ change: _change, keyId: _keyId, ...row }: FiledRow): ConsentRow => ({
  ...row,
  ...endedForm,
  isActive: false,
  mayPermit: false,
});

/** The compiled form and its digest. */
export function compiledForm(rules: ConsentRules): Pick<ConsentRow, "form" | "digest"> {
  const form = storedFormOf(rules);
  return { form, digest: createHash("sha256").update(form).digest("hex") };
}
const endedForm = compiledForm({ isActive: false, readings: [] });

/** The name of a patient's consents in deltas. */
export const consentRecordOf = ({ origin, subject }: Pick<ConsentRow, "origin" | "subject">): RecordName =>
  `consent/${origin}/${subject}`;

/**
 * Adds versions of Consents; no version is ever changed or deleted. The change with the highest number is the
 * present version, so a repeated or late write changes nothing.
 */
export async function insertConsents(
  registry: RegistrySql,
  change: number,
  rows: readonly NewRow[],
): Promise<void> {
  const db = drizzled(registry);
  const [first, ...rest] = rows.map((row) =>
    db
      .insert(consents)
      .values({ ...row, change })
      .onConflictDoNothing(),
  );
  if (first !== undefined) await db.batch([first, ...rest]);
}

/** The present version of each of these Consents, for whichever patient it is filed. */
export const filedVersions = (
  registry: RegistrySql,
  pseudonyms: readonly string[],
): Promise<readonly FiledRow[]> => presentVersions(registry, consents.consent, pseudonyms);

/** The present version of each Consent of these subjects, also of Consents that are no longer active. */
export const presentConsents = (
  registry: RegistrySql,
  subjects: readonly string[],
): Promise<readonly FiledRow[]> => presentVersions(registry, consents.subject, subjects);

async function presentVersions(
  registry: RegistrySql,
  column: typeof consents.consent | typeof consents.subject,
  values: readonly string[],
): Promise<readonly FiledRow[]> {
  const wanted = sql`(SELECT value FROM json_each(${JSON.stringify(values)}))`;
  const newest = sql`(SELECT max(change) FROM consents AS newer
    WHERE newer.subject = consents.subject AND newer.consent = consents.consent)`;
  return await drizzled(registry)
    .select()
    .from(consents)
    .where(and(inArray(column, wanted), eq(consents.change, newest)));
}

/**
 * The present version of each Consent of a single patient, whose rows are filed under several keys. A row that was
 * refiled while a change was under way has the number of its change, so the highest number counts here too.
 */
export function presentOf(rows: readonly FiledRow[]): readonly FiledRow[] {
  const present = new Map<string, FiledRow>();
  for (const row of rows) {
    const known = present.get(row.consent);
    const isNewer =
      known === undefined ||
      row.change > known.change ||
      // A change ends a Consent under one name of the patient and files it under a different name.
      (row.change === known.change && row.isActive);
    if (isNewer) present.set(row.consent, row);
  }
  return [...present.values()];
}

/** The number of keys of filed Consents that are not among these. The index makes it a look-up for each key. */
export async function unlistedKeys(registry: RegistrySql, keyIds: readonly string[]): Promise<number> {
  const { results } = await registry
    .prepare(
      `WITH RECURSIVE used (id) AS (
         SELECT min(key_id) FROM consents
         UNION ALL SELECT (SELECT min(key_id) FROM consents WHERE key_id > used.id) FROM used WHERE used.id IS NOT NULL)
       SELECT count(*) AS unlisted FROM used WHERE id IS NOT NULL AND id NOT IN (SELECT value FROM json_each(?))`,
    )
    .bind(JSON.stringify(keyIds))
    .all<{ unlisted: number }>();
  return results[0]?.unlisted ?? 0;
}

/** The number of rows that are not known to be filed under this key. */
export async function filedUnderFormerKeys(registry: RegistrySql, keyId: string): Promise<number> {
  return await drizzled(registry).$count(consents, or(isNull(consents.keyId), ne(consents.keyId, keyId)));
}

/**
 * Files the rows of patients under the pseudonym of the first key: every version, with its number and its Consent's
 * pseudonym, by which records name it. Returns the number of rows. A row whose number is taken stays: `presentOf`
 * decides between the two.
 */
export async function refileRows(
  registry: RegistrySql,
  patients: readonly (readonly [name: string, ...former: string[]])[],
  keyId: string,
): Promise<number> {
  const [first, ...rest] = patients.flatMap(([name, ...former]) => {
    const names = JSON.stringify(former);
    const under = `WHERE subject IN (SELECT value FROM json_each(?))`;
    return [
      registry
        .prepare(`UPDATE OR IGNORE consents SET subject = ?, key_id = ? ${under}`)
        .bind(name, keyId, names),
      registry
        .prepare("UPDATE consents SET key_id = ? WHERE subject = ? AND key_id IS NULL")
        .bind(keyId, name),
      registry.prepare(`UPDATE OR IGNORE consent_readings SET subject = ? ${under}`).bind(name, names),
    ];
  });
  if (first === undefined) return 0;
  const done = await registry.batch([first, ...rest]);
  return done.reduce((sum, { meta }, index) => sum + (index % 3 === 0 ? meta.changes : 0), 0);
}

/** Every version of the Consents of these subjects, the oldest first. At most 10,000. */
export const versionsOf = (
  registry: RegistrySql,
  subjects: readonly string[],
): Promise<readonly FiledRow[]> =>
  drizzled(registry)
    .select()
    .from(consents)
    .where(inArray(consents.subject, sql`(SELECT value FROM json_each(${JSON.stringify(subjects)}))`))
    .orderBy(consents.change)
    .limit(10_000);
