import { and, count, desc, eq, getTableColumns, gt, lt, ne, or, sql, type SQL } from "drizzle-orm";
import type { Instant } from "#kernel/clock";
import type { SignedInPerson } from "#registry/proposal-document";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { elevations, operators, proposals } from "#platform/registry/schema";

export type ProposalRow = typeof proposals.$inferSelect;

/** A proposal without its document. */
export type ProposalSummary = Omit<ProposalRow, "body">;

/** A person's decision about a proposal. */
export interface ProposalDecision extends SignedInPerson {
  readonly at: Instant;
}

export async function insertProposal(
  registry: RegistrySql,
  proposal: Omit<typeof proposals.$inferInsert, "proposedBy" | "proposerIssuer" | "proposerSubject">,
  by: SignedInPerson,
): Promise<void> {
  const proposer = { proposedBy: by.operator, proposerIssuer: by.issuer, proposerSubject: by.subject };
  await drizzled(registry)
    .insert(proposals)
    .values({ ...proposal, ...proposer });
}

/** The numbers of all open proposals and of the open proposals of a person. */
export async function countOpenProposals(
  registry: RegistrySql,
  at: Instant,
  { issuer, subject }: Pick<SignedInPerson, "issuer" | "subject">,
): Promise<{ readonly all: number; readonly own: number }> {
  const db = drizzled(registry);
  const ofPerson = and(eq(proposals.proposerIssuer, issuer), eq(proposals.proposerSubject, subject));
  const [all, own] = await db.batch([
    db.select({ open: count() }).from(proposals).where(isOpen(at)),
    db
      .select({ open: count() })
      .from(proposals)
      .where(and(isOpen(at), ofPerson)),
  ]);
  return { all: all[0]?.open ?? 0, own: own[0]?.open ?? 0 };
}

/** The newest first. `after`: the last proposal of the page before. */
export async function listProposals(
  registry: RegistrySql,
  {
    onlyOpenAt,
    after,
    limit,
  }: {
    readonly onlyOpenAt: Instant | undefined;
    readonly after: string | undefined;
    readonly limit: number;
  },
): Promise<readonly ProposalSummary[]> {
  const db = drizzled(registry);
  const last = after === undefined ? undefined : await findProposal(registry, after);
  const { body: _body, ...columns } = getTableColumns(proposals);
  const further =
    last &&
    or(
      lt(proposals.proposedAt, last.proposedAt),
      and(eq(proposals.proposedAt, last.proposedAt), lt(proposals.id, last.id)),
    );
  return db
    .select(columns)
    .from(proposals)
    .where(and(onlyOpenAt === undefined ? undefined : isOpen(onlyOpenAt), further))
    .orderBy(desc(proposals.proposedAt), desc(proposals.id))
    .limit(limit);
}

export async function findProposal(registry: RegistrySql, id: string): Promise<ProposalRow | undefined> {
  const [found] = await drizzled(registry).select().from(proposals).where(eq(proposals.id, id));
  return found;
}

type Author = Pick<ProposalRow, "proposedBy" | "proposerIssuer" | "proposerSubject">;

/** SQL: the author of a proposal is an active operator, and still the person who made it. */
export const authorStands = ({ proposedBy, proposerIssuer, proposerSubject }: Author): SQL =>
  sql`EXISTS (SELECT 1 FROM operators AS author WHERE author.id = ${proposedBy}
    AND author.status = 'active' AND author.kind = 'person'
    AND json_extract(author.sign_in, '$.iss') = ${proposerIssuer}
    AND json_extract(author.sign_in, '$.sub') = ${proposerSubject})`;

export async function isAuthorStanding(registry: RegistrySql, author: Author): Promise<boolean> {
  const found = await drizzled(registry)
    .select({ id: operators.id })
    .from(operators)
    .where(and(eq(operators.id, author.proposedBy), authorStands(author)));
  return found.length > 0;
}

/**
 * The statement that approves a proposal, if the condition holds. It fails, with its whole batch, if the proposal
 * is decided or the person is its author (triggers and checks of the table).
 */
export const approval = (
  registry: RegistrySql,
  id: string,
  { operator, issuer, subject, at }: ProposalDecision,
  condition?: SQL,
) =>
  drizzled(registry)
    .update(proposals)
    .set({
      state: "approved",
      decidedAt: at,
      decidedBy: operator,
      deciderIssuer: issuer,
      deciderSubject: subject,
    })
    .where(and(eq(proposals.id, id), condition));

/**
 * Approves an elevation of its author: its role is in force until `ends`. False: the author is no longer the active
 * operator who asked, and nothing is written.
 */
export async function approveElevation(
  registry: RegistrySql,
  proposal: ProposalRow,
  { role, ends }: { readonly role: string; readonly ends: Instant },
  decision: ProposalDecision,
): Promise<boolean> {
  const db = drizzled(registry);
  const condition = authorStands(proposal);
  const { id, proposedBy } = proposal;
  const [approved] = await db.batch([
    approval(registry, id, decision, condition).returning({ id: proposals.id }),
    db.insert(elevations).select(
      db
        .select({
          proposal: sql<string>`${id}`.as("proposal"),
          operator: operators.id,
          role: sql<string>`${role}`.as("role"),
          ends: sql<Instant>`${ends}`.as("ends"),
        })
        .from(operators)
        .where(and(eq(operators.id, proposedBy), condition)),
    ),
  ]);
  return approved.length > 0;
}

/** The statement that ends the roles that an operator has for a limited time. */
export const endElevations = (registry: RegistrySql, operator: string, at: Instant, condition?: SQL) =>
  drizzled(registry)
    .update(elevations)
    .set({ ends: at })
    .where(and(eq(elevations.operator, operator), gt(elevations.ends, at), condition));

/** The statement that closes the open proposals about an operator, and with `andBy` the proposals of it. */
export const closeProposalsOf = (
  registry: RegistrySql,
  about: { readonly operator: string; readonly andBy: boolean },
  closing: { readonly operator: string; readonly at: Instant; readonly except?: string },
  condition?: SQL,
) => {
  const isAbout = and(
    eq(proposals.kind, "operator"),
    sql`json_extract(${proposals.body}, '$.operator.id') = ${about.operator}`,
  );
  return drizzled(registry)
    .update(proposals)
    .set({
      state: "closed",
      decidedAt: closing.at,
      decidedBy: closing.operator,
      note: `the operator ${about.operator} has changed`,
    })
    .where(
      and(
        eq(proposals.state, "open"),
        about.andBy ? or(isAbout, eq(proposals.proposedBy, about.operator)) : isAbout,
        closing.except === undefined ? undefined : ne(proposals.id, closing.except),
        condition,
      ),
    );
};

/** Closes an open proposal, or ends an approved elevation. False when there is nothing to close. */
export async function closeProposal(
  registry: RegistrySql,
  id: string,
  closing: { readonly operator: string; readonly at: Instant; readonly note: string },
): Promise<boolean> {
  const db = drizzled(registry);
  const [closed, ended] = await db.batch([
    db
      .update(proposals)
      .set({ state: "closed", decidedAt: closing.at, decidedBy: closing.operator, note: closing.note })
      .where(and(eq(proposals.id, id), eq(proposals.state, "open")))
      .returning({ id: proposals.id }),
    db
      .update(elevations)
      .set({ ends: closing.at })
      .where(and(eq(elevations.proposal, id), gt(elevations.ends, closing.at)))
      .returning({ proposal: elevations.proposal }),
  ]);
  return closed.length + ended.length > 0;
}

/** The roles that an operator has for a limited time. */
export async function elevatedRoles(
  registry: RegistrySql,
  operator: string,
  at: Instant,
): Promise<readonly string[]> {
  const live = await drizzled(registry)
    .select({ role: elevations.role })
    .from(elevations)
    .where(and(eq(elevations.operator, operator), gt(elevations.ends, at)));
  return live.map(({ role }) => role);
}

const isOpen = (at: Instant): SQL | undefined =>
  and(eq(proposals.state, "open"), gt(proposals.expiresAt, at));

/** `expects` of a proposal that ends a denial: the epoch that put the denial in force. */
export const expectedDenial = (since: number): string => `denial:${since}`;
