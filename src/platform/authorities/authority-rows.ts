import { and, asc, eq, gt, isNull, lte, sql } from "drizzle-orm";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { authorities } from "#platform/registry/schema";
import { authoritiesPageMax, authorityListing, type AuthorityProblem } from "#identity/authority/authority-document";

export type AuthorityRow = typeof authorities.$inferSelect;
/** An authority as an operator sees it: neither its evidence nor its person. */
export type ListedAuthority = Omit<AuthorityRow, "evidence" | "person">;

/** Live authorities at a time. A person of a client has some exports and subscriptions; no client fills the table. */
export const authoritiesMax = { ofClient: 200, ofPerson: 20 } as const;

const isLive = (at: Instant) => and(isNull(authorities.endedAt), gt(authorities.endsAt, at));

/**
 * Stores an authority, once: a repeat under its id changes nothing. False: the client or the person has as many as it
 * may. The counts and the row are one statement, so that two at once pass no limit. Deletes the rows that are past
 * their end.
 */
export async function insertAuthority(registry: RegistrySql, row: AuthorityRow): Promise<boolean> {
  const db = drizzled(registry);
  await db.delete(authorities).where(lte(authorities.endsAt, row.madeAt));
  const live = (max: number, isOfPerson: boolean) => sql`(SELECT count(*) FROM authorities
    WHERE client = ${row.client} AND ended_at IS NULL AND id <> ${row.id}
    ${isOfPerson ? sql`AND person = ${row.person}` : sql``}) < ${max}`;
  await db.run(sql`INSERT INTO authorities
    (id, client, person, origin, purpose, agreement, bound_to, task, made_at, ends_at, evidence)
    SELECT ${row.id}, ${row.client}, ${row.person}, ${row.origin}, ${row.purpose}, ${row.agreement}, ${row.boundTo},
      ${row.task}, ${row.madeAt}, ${row.endsAt}, ${row.evidence}
    WHERE ${live(authoritiesMax.ofClient, false)} AND ${live(authoritiesMax.ofPerson, true)}
    ON CONFLICT (id) DO NOTHING`);
  const there = await db
    .select({ client: authorities.client })
    .from(authorities)
    .where(eq(authorities.id, row.id));
  return there[0]?.client === row.client;
}

/** A live authority; undefined: it has ended, or there is none of this id. */
export async function liveAuthority(
  registry: RegistrySql,
  id: string,
  at: Instant,
): Promise<AuthorityRow | undefined> {
  const [row] = await drizzled(registry)
    .select()
    .from(authorities)
    .where(and(eq(authorities.id, id), isLive(at)));
  return row;
}

/** Ends an authority for good, and deletes its evidence. */
export async function endAuthority(
  registry: RegistrySql,
  { client, authority }: { readonly client: string; readonly authority: string },
  ended: { readonly at: Instant; readonly by: string },
): Promise<void> {
  await drizzled(registry)
    .update(authorities)
    .set({ endedAt: ended.at, endedBy: ended.by, evidence: null })
    .where(and(eq(authorities.id, authority), eq(authorities.client, client), isNull(authorities.endedAt)));
}

/** A page of authorities in the order of their ids: the live ones, or also those that ended before their time. */
export async function listAuthorities(
  registry: RegistrySql,
  document: unknown,
  at: Instant,
): Promise<Result<readonly ListedAuthority[], AuthorityProblem>> {
  const read = authorityListing.safeParse(document);
  if (!read.success)
    return err({ reason: "authority_malformed", field: read.error.issues[0]?.path.join("/") ?? "" });
  const { state, client, after } = read.data;
  const rows = await drizzled(registry)
    .select()
    .from(authorities)
    .where(
      and(
        state === "open" ? isLive(at) : undefined,
        client === undefined ? undefined : eq(authorities.client, client),
        after === undefined ? undefined : gt(authorities.id, after),
      ),
    )
    .orderBy(asc(authorities.id))
    .limit(authoritiesPageMax);
  return ok(rows.map(({ evidence: _evidence, person: _person, ...listed }) => listed));
}
