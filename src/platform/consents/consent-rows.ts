import { and, eq, inArray, sql } from "drizzle-orm";
import * as z from "zod";
import { instant } from "#kernel/clock";
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

/** Reads the rows that `Revocations` stored. */
export const consentRowsOf = (document: string): readonly ConsentRow[] =>
  z.array(consentRow).parse(JSON.parse(document));

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

/** The present version of each Consent of these subjects, also of Consents that are no longer active. */
export async function presentConsents(
  registry: RegistrySql,
  subjects: readonly string[],
): Promise<readonly ConsentRow[]> {
  const db = drizzled(registry);
  const wanted = sql`(SELECT value FROM json_each(${JSON.stringify(subjects)}))`;
  const newest = sql`(SELECT max(change) FROM consents AS newer
    WHERE newer.subject = consents.subject AND newer.consent = consents.consent)`;
  const rows = await db
    .select()
    .from(consents)
    .where(and(inArray(consents.subject, wanted), eq(consents.change, newest)));
  return rows.map(({ change: _change, ...row }) => row);
}
