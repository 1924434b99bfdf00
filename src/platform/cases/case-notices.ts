import { and, asc, eq, isNull } from "drizzle-orm";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { caseNotices } from "#platform/registry/schema";

export type NoticeRow = typeof caseNotices.$inferSelect;
type NoticeName = Pick<NoticeRow, "caseId" | "kind" | "recipient">;

/** The notices of a case in the order of their recipients. */
export const noticesOf = async (registry: RegistrySql, id: string): Promise<readonly NoticeRow[]> =>
  await drizzled(registry)
    .select()
    .from(caseNotices)
    .where(eq(caseNotices.caseId, id))
    .orderBy(asc(caseNotices.kind), asc(caseNotices.recipient));

/** Stores due notices, all or none. A notice that is stored stays as it is. Returns the new ones. */
export async function addNotices(
  registry: RegistrySql,
  notices: readonly (typeof caseNotices.$inferInsert)[],
): Promise<readonly NoticeRow[]> {
  const db = drizzled(registry);
  const [first, ...rest] = notices.map((notice) =>
    db.insert(caseNotices).values(notice).onConflictDoNothing().returning(),
  );
  return first === undefined ? [] : (await db.batch([first, ...rest])).flat();
}

/** Ends an open notice, once. False: there is none, or it has ended. */
export async function endNotice(
  registry: RegistrySql,
  { caseId, kind, recipient }: NoticeName,
  end: Pick<NoticeRow, "endedAt" | "endedBy"> & Partial<Pick<NoticeRow, "letter" | "reason">>,
): Promise<boolean> {
  const isNamed = and(
    eq(caseNotices.caseId, caseId),
    eq(caseNotices.kind, kind),
    eq(caseNotices.recipient, recipient),
  );
  const ended = await drizzled(registry)
    .update(caseNotices)
    .set(end)
    .where(and(isNamed, isNull(caseNotices.endedAt)))
    .returning({ recipient: caseNotices.recipient });
  return ended.length > 0;
}
