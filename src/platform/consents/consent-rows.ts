import { createHash } from "node:crypto";
import { and, eq, inArray, sql } from "drizzle-orm";
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
}

/** The content of a change: new versions, and Consents that are in force for no patient any more. */
const consentChange = z.strictObject({
  rows: z.array(consentRow),
  /** Pseudonyms of the Consents. */
  ended: z.array(z.string()),
});
export type ConsentChange = Readonly<z.infer<typeof consentChange>>;

/** Reads a change that `Revocations` stored. */
export const consentChangeOf = (document: string): ConsentChange => consentChange.parse(JSON.parse(document));

/** A version that is in force no longer. */
export const endedVersion = ({ change: _change, ...row }: FiledRow): ConsentRow => ({
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
  rows: readonly ConsentRow[],
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
