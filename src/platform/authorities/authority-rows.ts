import { and, asc, eq, gt, inArray, isNull, lte, or, type SQL, sql } from "drizzle-orm";
import { dayMilliseconds, instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { authorities } from "#platform/registry/schema";
import {
  authoritiesPageMax,
  authorityListing,
  type AuthorityProblem,
} from "#identity/authority/authority-document";

export type AuthorityRow = typeof authorities.$inferSelect;
/** An authority as an operator sees it: neither its evidence nor its person, nor the token that made it. */
export type ListedAuthority = Omit<AuthorityRow, "evidence" | "person" | "token">;

/**
 * Authorities at a time. A person of a client has some exports and subscriptions; no client fills the table, also not
 * with those that ended before their time.
 */
export const authoritiesMax = { ofClient: 200, ofPerson: 100, withEnded: 2_000 } as const;

// An operator finds why a job stopped for as long.
const endedMilliseconds = 7 * dayMilliseconds;

const isLive = (at: Instant) => and(isNull(authorities.endedAt), gt(authorities.endsAt, at));

/**
 * Stores an authority, once: a repeat under its id changes nothing. Returns the stored row; undefined: the client or
 * the person has as many as it may. The counts and the row are one statement, so that two at once pass no limit.
 * Deletes the rows that are past their end, or that ended a week ago.
 */
export async function insertAuthority(
  registry: RegistrySql,
  row: AuthorityRow,
): Promise<AuthorityRow | undefined> {
  const db = drizzled(registry);
  const [past, endedLongAgo] = [row.madeAt, instant(row.madeAt - endedMilliseconds)];
  await db
    .delete(authorities)
    .where(or(lte(authorities.endsAt, past), lte(authorities.endedAt, endedLongAgo)));
  const fewer = (max: number, more: SQL) => sql`(SELECT count(*) FROM authorities
    WHERE client = ${row.client} AND id <> ${row.id} ${more}) < ${max}`;
  const live = sql`AND ended_at IS NULL`;
  await db.run(sql`INSERT INTO authorities
    (id, client, person, token, origin, purpose, agreement, bound_to, task, made_at, ends_at, evidence)
    SELECT ${row.id}, ${row.client}, ${row.person}, ${row.token}, ${row.origin}, ${row.purpose}, ${row.agreement},
      ${row.boundTo}, ${row.task}, ${row.madeAt}, ${row.endsAt}, ${row.evidence}
    WHERE ${fewer(authoritiesMax.withEnded, sql``)} AND ${fewer(authoritiesMax.ofClient, live)}
      AND ${fewer(authoritiesMax.ofPerson, sql`${live} AND person = ${row.person}`)}
    ON CONFLICT (id) DO NOTHING`);
  const [there] = await db.select().from(authorities).where(eq(authorities.id, row.id));
  return there?.client === row.client ? there : undefined;
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

/** Which authorities end: one of a client, or all that a token or a person made, by their pseudonyms. */
export type EndedAuthorities =
  | { readonly client: string; readonly authority: string }
  | { readonly tokens: readonly string[] }
  | { readonly persons: readonly string[] };

/** Ends authorities for good, and deletes their evidence. */
export async function endAuthorities(
  registry: RegistrySql,
  which: EndedAuthorities,
  ended: { readonly at: Instant; readonly by: string },
): Promise<void> {
  await drizzled(registry)
    .update(authorities)
    .set({ endedAt: ended.at, endedBy: ended.by, evidence: null })
    .where(and(isNull(authorities.endedAt), isAmong(which)));
}

/** Deletes an authority that a denial has not ended. */
export async function deleteAuthority(
  registry: RegistrySql,
  client: string,
  authority: string,
): Promise<void> {
  await drizzled(registry)
    .delete(authorities)
    .where(and(isNull(authorities.endedAt), isAmong({ client, authority })));
}

function isAmong(which: EndedAuthorities): SQL | undefined {
  if ("tokens" in which) return inArray(authorities.token, [...which.tokens]);
  if ("persons" in which) return inArray(authorities.person, [...which.persons]);
  return and(eq(authorities.id, which.authority), eq(authorities.client, which.client));
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
  return ok(rows.map(({ evidence: _evidence, person: _person, token: _token, ...listed }) => listed));
}
