import { and, eq, inArray, sql } from "drizzle-orm";
import { originTimeoutSecondsMax } from "#fhir/origin";
import { instant, type Instant } from "#kernel/clock";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { consentReadings } from "#platform/registry/schema";
import { endedVersion, versionOf, withoutNames, type ConsentRow, type FiledRow } from "./consent-rows.ts";

// A reading asks for the Consents, and three times for the names behind their actors. A reading with several pages may
// lose its claim: then its result is not filed.
export const claimMilliseconds = 4 * originTimeoutSecondsMax * 1_000 + 5_000;
// An origin's search may lag behind its writes: a Consent that a client has just filed is not judged by a search.
const lagMilliseconds = 60_000;

/** The last reading of a patient's Consents at the origin. */
export type ReadingRow = typeof consentReadings.$inferSelect;

const among = (subjects: readonly string[]) =>
  inArray(consentReadings.subject, sql`(SELECT value FROM json_each(${JSON.stringify(subjects)}))`);

/** The last readings of these patients, by pseudonym. A patient who was never read is missing. */
export async function readingsOf(
  registry: RegistrySql,
  subjects: readonly string[],
): Promise<ReadonlyMap<string, ReadingRow>> {
  const rows = await drizzled(registry).select().from(consentReadings).where(among(subjects));
  return new Map(rows.map((row) => [row.subject, row]));
}

/**
 * Claims the readings of these patients for a single reader, if they are due and are not claimed. Returns the
 * pseudonyms that this call has claimed.
 * @param subjects pseudonyms under the first key.
 * @param keyId the id of the first key.
 * @param claim the number of the reading, which orders it among the changes of Consents.
 * @param readBefore a reading of this time or before is due again.
 */
export async function claimReadings(
  registry: RegistrySql,
  subjects: readonly string[],
  keyId: string,
  claim: number,
  at: Instant,
  readBefore: Instant,
): Promise<readonly string[]> {
  const db = drizzled(registry);
  const claimedUntil = instant(at + claimMilliseconds);
  const [first, ...rest] = subjects.map((subject) =>
    db
      .insert(consentReadings)
      .values({ subject, readAt: instant(0), seen: [], claim, claimedUntil, keyId })
      .onConflictDoUpdate({
        target: consentReadings.subject,
        set: { claim, claimedUntil, keyId },
        setWhere: sql`${consentReadings.claimedUntil} <= ${at} AND ${consentReadings.readAt} <= ${readBefore}`,
      })
      .returning({ subject: consentReadings.subject }),
  );
  if (first === undefined) return [];
  return (await db.batch([first, ...rest])).flatMap((rows) => rows.map(({ subject }) => subject));
}

/** Gives back the claims of a reading that found nothing out. */
export async function releaseReadings(registry: RegistrySql, claim: number): Promise<void> {
  await drizzled(registry)
    .update(consentReadings)
    .set({ claimedUntil: instant(0) })
    .where(eq(consentReadings.claim, claim));
}

/** Stores readings that are filed. */
export async function storeReadings(
  registry: RegistrySql,
  claim: number,
  readings: readonly SubjectReading[],
): Promise<void> {
  const db = drizzled(registry);
  const [first, ...rest] = readings.map(({ subject, seen, readAt }) =>
    db
      .update(consentReadings)
      .set({ seen, readAt, claimedUntil: instant(0) })
      .where(and(eq(consentReadings.subject, subject), eq(consentReadings.claim, claim))),
  );
  if (first !== undefined) await db.batch([first, ...rest]);
}

/** A change ends a Consent under a former name and files it under its present name. */
const laterFirst = (left: FiledRow, right: FiledRow): number =>
  right.change - left.change || Number(right.isActive) - Number(left.isActive);

/** The result of a reading for a patient. */
export interface SubjectReading {
  readonly subject: string;
  /** Pseudonyms of the Consents that the origin has. */
  readonly seen: readonly string[];
  readonly readAt: Instant;
  /** The versions to file. */
  readonly rows: readonly ConsentRow[];
}

/**
 * The version on file with the names that a reading found behind its actors; undefined: the Consent has changed. A
 * Consent that a client filed to deny alone has no such names: its effects would tell the client who they are.
 */
function renewedVersion(known: FiledRow, row: ConsentRow): ConsentRow | undefined {
  const bare = withoutNames(row);
  if (known.digest !== row.digest && withoutNames(known).digest !== bare.digest) return undefined;
  const { mayPermit, filedBy, filedAt } = known;
  return { ...row, ...(filedBy !== null && !mayPermit && bare), mayPermit, filedBy, filedAt };
}

/**
 * Compares the Consents of a patient at the origin with the versions on file. A Consent that changed, or that
 * is new, has the authority of the origin. A Consent that an earlier reading had, and this one has not, ends.
 * A Consent that no reading ever had (the origin's search may not find it) permits no longer, and its denials
 * stay.
 *
 * @param found the Consents of the patient at the origin.
 * @param filed the present versions on file.
 * @param begun when the reading began.
 * @param namesOf the pseudonyms of a found Consent, of the first key and of former keys.
 */
export function compareReading(
  { subject, seen: before }: Pick<ReadingRow, "subject" | "seen">,
  found: readonly ConsentRow[],
  filed: readonly FiledRow[],
  begun: Instant,
  everyMilliseconds: number,
  namesOf: (consent: string) => readonly string[] = (consent) => [consent],
): SubjectReading {
  const isFresh = ({ filedBy, filedAt }: FiledRow) => filedBy !== null && filedAt > begun - lagMilliseconds;
  const byConsent = new Map(filed.map((row) => [row.consent, row]));
  const present = new Set(found.flatMap(({ consent }) => namesOf(consent)));
  const rows: ConsentRow[] = [];
  const left: string[] = [];
  for (const row of found) {
    const [known] = namesOf(row.consent)
      .flatMap((name) => byConsent.get(name) ?? [])
      .toSorted(laterFirst);
    if (known?.isActive !== true && !row.isActive) continue;
    const renewed = known && renewedVersion(known, row);
    // The client that filed this content decided if it permits.
    if (renewed !== undefined && (renewed.filedBy !== null || renewed.mayPermit === row.mayPermit)) {
      if (renewed.digest !== known?.digest) rows.push(renewed);
    } else if (known !== undefined && isFresh(known)) left.push(row.consent);
    else rows.push(row);
  }
  for (const known of filed) {
    if (present.has(known.consent) || !known.isActive) continue;
    if (isFresh(known)) left.push(known.consent);
    else if (before.includes(known.consent)) rows.push(endedVersion(known));
    else {
      const bare = withoutNames(known);
      if (known.mayPermit || bare.digest !== known.digest)
        rows.push({ ...versionOf(known), ...bare, mayPermit: false });
    }
  }
  return {
    subject,
    seen: [...new Set([...present, ...left.filter((consent) => before.includes(consent))])],
    readAt: left.length === 0 ? begun : instant(begun - everyMilliseconds + lagMilliseconds),
    rows,
  };
}
