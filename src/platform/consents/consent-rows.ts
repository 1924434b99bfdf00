import { createHash } from "node:crypto";
import { and, eq, getTableColumns, inArray, sql } from "drizzle-orm";
import * as z from "zod";
import type { ConsentRules } from "#policy/consent/consent";
import { formWithoutNames, storedFormOf } from "#policy/consent/stored-form";
import { filedByOthersMax, readableMax } from "#policy/consent/unread-consents";
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
  /** The id of the key of the Consent's pseudonym. Absent: the key of the change. */
  consentKeyId: z.optional(z.string().nullable()),
});
export type ConsentRow = z.infer<typeof consentRow>;

/** A row as D1 has it. */
export interface FiledRow extends ConsentRow {
  /** The number of its change. */
  readonly change: number;
  /** The id of the key of its subject; null: it was filed before a version that notes the key. */
  readonly keyId: string | null;
  /** The id of the key of the Consent's pseudonym, or `ended` (migration 0034); null: as for `keyId`. */
  readonly consentKeyId: string | null;
  /** The pseudonym of the Consent by which records from before a refiling name it. */
  readonly recordedAs: string | null;
}

/** A row that a change adds. */
export type NewRow = ConsentRow & Pick<FiledRow, "keyId" | "consentKeyId">;

/** The content of a change: new versions, and Consents that are in force for no patient any more. */
const consentChange = z.strictObject({
  rows: z.array(consentRow),
  /** Pseudonyms of the Consents. */
  ended: z.array(z.string()),
  /**
   * Pseudonyms of the Consents that stay in force for their further patients: a reading does not show that they were
   * filed for a patient who is not theirs. Absent: none.
   */
  shared: z.optional(z.array(z.string())),
  /** Pseudonyms of the Consents whose state at the origin is not known: what is on file may deny alone. Absent: none. */
  unread: z.optional(z.array(z.string())),
  /** The id of the key under which the rows are filed. Absent in a change that an earlier version stored. */
  keyId: z.optional(z.string()),
  /** The pseudonyms under former keys of each patient and Consent that has them. */
  former: z.optional(z.record(z.string(), z.array(z.string()).readonly())),
});
export type ConsentChange = Readonly<z.infer<typeof consentChange>>;

/** Reads a change that `Revocations` stored. */
export const consentChangeOf = (document: string): ConsentChange => consentChange.parse(JSON.parse(document));

/** The version of a row, to file it again. */
export const versionOf = ({
  change: _change,
  keyId: _keyId,
  recordedAs: _recordedAs,
  ...row
}: FiledRow): ConsentRow => row;

/** A version that is in force no longer. */
export const endedVersion = (filed: FiledRow): ConsentRow => ({
  ...versionOf(filed),
  ...endedForm,
  isActive: false,
  mayPermit: false,
});

/** The compiled form and its digest. */
export function compiledForm(rules: ConsentRules): Pick<ConsentRow, "form" | "digest"> {
  return hashedForm(storedFormOf(rules));
}

const hashedForm = (form: string): Pick<ConsentRow, "form" | "digest"> => ({
  form,
  digest: createHash("sha256").update(form).digest("hex"),
});

/** The form of a row without the names behind its actors. */
export function withoutNames({
  form,
  digest,
}: Pick<ConsentRow, "form" | "digest">): Pick<ConsentRow, "form" | "digest"> {
  return form.includes('"meant"') ? hashedForm(formWithoutNames(form)) : { form, digest };
}

const endedForm = compiledForm({ isActive: false, readings: [] });

/** The name of a patient's consents in deltas. */
export const consentRecordOf = ({ origin, subject }: Pick<ConsentRow, "origin" | "subject">): RecordName =>
  `consent/${origin}/${subject}`;

/**
 * Adds versions of Consents; no version is ever changed or deleted. The change with the highest number is the
 * present version, so a repeated or late write changes nothing. A single transaction counts and adds.
 *
 * @param limitedNames the names of the patient, for a row that needs room beside the Consents that others filed.
 * @returns the pseudonyms of the Consents that had no room.
 */
export async function insertConsents(
  registry: RegistrySql,
  change: number,
  rows: readonly NewRow[],
  limitedNames: (row: NewRow) => readonly string[] | undefined = () => undefined,
): Promise<readonly string[]> {
  if (rows.length === 0) return [];
  const limited = rows.filter((row) => limitedNames(row) !== undefined).map(({ consent }) => consent);
  const results = await registry.batch<{ consent: string }>([
    ...rows.map((row) => {
      const { origin, subject, consent, digest, form, isActive, mayPermit } = row;
      const { filedBy, filedAt, keyId, consentKeyId } = row;
      const subjects = limitedNames(row);
      const limit = subjects === undefined ? null : JSON.stringify(subjects);
      return registry
        .prepare(insertion)
        .bind(
          origin,
          subject,
          consent,
          change,
          digest,
          form,
          Number(isActive),
          Number(mayPermit),
          filedBy,
          filedAt,
          keyId,
          consentKeyId,
          limit,
          filedByOthersMax,
        );
    }),
    registry
      .prepare(
        "SELECT consent FROM consents WHERE consent IN (SELECT value FROM json_each(?)) AND change = ?",
      )
      .bind(JSON.stringify(limited), change),
  ]);
  const filed = new Set(results.at(-1)?.results.map(({ consent }) => consent));
  return limited.filter((consent) => !filed.has(consent));
}

const insertion = `INSERT INTO consents (origin, subject, consent, change, digest, form, is_active, may_permit,
    filed_by, filed_at, key_id, consent_key_id)
  SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
  WHERE ?13 IS NULL OR ?14 > (SELECT count(*) + coalesce(sum(filed_by = ?9), 0) FROM consents AS filed
    WHERE subject IN (SELECT value FROM json_each(?13)) AND consent <> ?3 AND is_active = 1 AND may_permit = 0
      AND change = (SELECT max(change) FROM consents AS newer
        WHERE newer.subject = filed.subject AND newer.consent = filed.consent))
  ON CONFLICT DO NOTHING`;

/** The origins that have any Consent on file. */
export async function originsWithConsents(registry: RegistrySql): Promise<readonly string[]> {
  const rows = await drizzled(registry).selectDistinct({ origin: consents.origin }).from(consents);
  return rows.map(({ origin }) => origin);
}

/** The present version of each of these Consents, for whichever patient it is filed. */
export const filedVersions = (
  registry: RegistrySql,
  pseudonyms: readonly string[],
): Promise<readonly FiledRow[]> => presentVersions(registry, consents.consent, pseudonyms);

async function presentVersions(
  registry: RegistrySql,
  column: typeof consents.consent,
  values: readonly string[],
): Promise<readonly FiledRow[]> {
  return await drizzled(registry).select().from(consents).where(isPresentOf(column, values));
}

const isPresentOf = (column: typeof consents.consent | typeof consents.subject, values: readonly string[]) =>
  and(
    inArray(column, sql`(SELECT value FROM json_each(${JSON.stringify(values)}))`),
    eq(
      consents.change,
      sql`(SELECT max(change) FROM consents AS newer
        WHERE newer.subject = consents.subject AND newer.consent = consents.consent)`,
    ),
  );

/** The Consents of some patients on file. */
interface PresentConsents {
  /** The present versions, also of Consents that are no longer active. */
  readonly rows: readonly FiledRow[];
  /** The subjects with more in force than is read ({@link readableMax}): no row of theirs is here. */
  readonly tooMany: ReadonlySet<string>;
}

/** The present version of each Consent of these subjects. The rows of a subject with too many do not leave D1. */
export async function presentConsents(
  registry: RegistrySql,
  subjects: readonly string[],
): Promise<PresentConsents> {
  const db = drizzled(registry);
  const ofSubject = sql`OVER (PARTITION BY ${consents.subject})`;
  const measured = db
    .select({
      ...getTableColumns(consents),
      isTooMany: sql<number>`sum(${consents.isActive}) ${ofSubject} > ${readableMax.consents}
        OR sum(${consents.isActive} * octet_length(${consents.form})) ${ofSubject} > ${readableMax.characters}`.as(
        "is_too_many",
      ),
      place: sql<number>`row_number() ${ofSubject}`.as("place"),
    })
    .from(consents)
    .where(isPresentOf(consents.subject, subjects))
    .as("measured");
  const found = await db
    .select()
    .from(measured)
    .where(sql`NOT ${measured.isTooMany} OR ${measured.place} = 1`);
  return {
    rows: found.filter(({ isTooMany }) => isTooMany === 0),
    tooMany: new Set(found.flatMap(({ isTooMany, subject }) => (isTooMany === 0 ? [] : [subject]))),
  };
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

/**
 * Answers whether the pseudonyms of every filed Consent, and of its patient, are under these keys. Otherwise a denial
 * may not be found, and a withdrawal may miss its Consent. A row that is older than the column of its key has the only
 * key, while a single key is listed and no row has a further key: that is noted in the row.
 */
export async function areKeysListed(registry: RegistrySql, keyIds: readonly string[]): Promise<boolean> {
  const [only, ...further] = keyIds;
  const { results } = await registry
    .prepare(`WITH RECURSIVE ${usedKeys("key_id")}, ${usedKeys("consent_key_id")}
      SELECT
        (SELECT count(*) FROM (SELECT id FROM used_key_id UNION SELECT id FROM used_consent_key_id)
          WHERE id IS NOT NULL AND id <> 'ended' AND id NOT IN (SELECT value FROM json_each(?))) AS unlisted,
        EXISTS (SELECT 1 FROM consents WHERE key_id IS NULL)
          OR EXISTS (SELECT 1 FROM consents WHERE consent_key_id IS NULL) AS has_unknown`)
    .bind(JSON.stringify(keyIds))
    .all<{ unlisted: number; has_unknown: number }>();
  const [found] = results;
  if (found?.unlisted !== 0) return false;
  if (found.has_unknown === 0) return true;
  if (only === undefined || further.length > 0) return false;
  await registry
    .prepare(
      `UPDATE consents SET key_id = coalesce(key_id, ?1), consent_key_id = coalesce(consent_key_id, ?1)
       WHERE key_id IS NULL OR consent_key_id IS NULL`,
    )
    .bind(only)
    .run();
  return true;
}

/** The distinct values of an indexed column of `consents`: a look-up for each value, instead of a scan. */
const usedKeys = (column: "key_id" | "consent_key_id"): string =>
  `used_${column} (id) AS (
     SELECT min(${column}) FROM consents
     UNION ALL SELECT (SELECT min(${column}) FROM consents WHERE ${column} > used.id) FROM used_${column} AS used
       WHERE used.id IS NOT NULL)`;

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
