import { and, count, desc, eq, getTableColumns, gt, lt, or, type SQL } from "drizzle-orm";
import type { Instant } from "#kernel/clock";
import type { SignedInPerson, ProposalDocument } from "#registry/proposal-document";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { elevations, proposals } from "#platform/registry/schema";

export type ProposalRow = typeof proposals.$inferSelect;

/** A proposal without its document. */
export type ProposalSummary = Omit<ProposalRow, "body">;

/** A person's decision about a proposal. */
export interface ProposalDecision extends SignedInPerson {
  readonly at: Instant;
}

export async function insertProposal(
  registry: RegistrySql,
  {
    id,
    document,
    digest,
    expects,
    by,
    at,
    expiresAt,
  }: {
    readonly id: string;
    readonly document: ProposalDocument;
    readonly digest: string;
    readonly expects: string | undefined;
    readonly by: SignedInPerson;
    readonly at: Instant;
    readonly expiresAt: Instant;
  },
): Promise<void> {
  await drizzled(registry)
    .insert(proposals)
    .values({
      id,
      kind: document.kind,
      body: document,
      digest,
      expects: expects ?? null,
      why: document.why,
      proposedAt: at,
      expiresAt,
      proposedBy: by.operator,
      proposerIssuer: by.issuer,
      proposerSubject: by.subject,
    });
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

/**
 * The statement that approves a proposal. It fails, with its whole batch, if the proposal is decided or the
 * person is its author (triggers and checks of the table).
 */
export const approval = (
  registry: RegistrySql,
  id: string,
  { operator, issuer, subject, at }: ProposalDecision,
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
    .where(eq(proposals.id, id));

/** Approves an elevation: its role is in force until `ends`. */
export async function approveElevation(
  registry: RegistrySql,
  {
    id,
    operator,
    role,
    ends,
  }: {
    readonly id: string;
    readonly operator: string;
    readonly role: string;
    readonly ends: Instant;
  },
  decision: ProposalDecision,
): Promise<void> {
  await drizzled(registry).batch([
    approval(registry, id, decision),
    drizzled(registry).insert(elevations).values({ proposal: id, operator, role, ends }),
  ]);
}

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
