import { createHash } from "node:crypto";
import { and, eq, gt, ne, sql, type SQL } from "drizzle-orm";
import type { BatchItem } from "drizzle-orm/batch";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { isSameContent } from "#registry/canonical";
import type { ListedOperator, OperatorDocument } from "#registry/operator-document";
import {
  approval,
  authorStands,
  closeProposalsOf,
  endElevations,
  type ProposalDecision,
  type ProposalRow,
} from "#platform/proposals/proposal-rows";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { elevations, issuers, operators, proposals } from "#platform/registry/schema";

type OperatorRow = typeof operators.$inferSelect;

/** Each operator, in the order of the ids, with the roles that it has for a limited time. */
export async function listOperators(registry: RegistrySql, at: Instant): Promise<readonly ListedOperator[]> {
  const db = drizzled(registry);
  const [rows, live] = await db.batch([
    db.select().from(operators).orderBy(operators.id),
    db.select().from(elevations).where(gt(elevations.ends, at)),
  ]);
  return rows.map(({ id, status, kind, x5t, roles, signIn }) => {
    const elevated = live.filter(({ operator }) => operator === id).map(({ role, ends }) => ({ role, ends }));
    return { id, status, kind, x5t, roles, signIn: signIn ?? undefined, elevated };
  });
}

export async function registeredOperator(
  registry: RegistrySql,
  id: string,
): Promise<OperatorRow | undefined> {
  const [found] = await drizzled(registry).select().from(operators).where(eq(operators.id, id));
  return found;
}

/** `expects` of a proposal about an operator: the entry that its author saw. */
export const stateOfOperator = (row: OperatorRow | undefined): string =>
  row === undefined
    ? "operator:none"
    : `operator:${createHash("sha256")
        .update(JSON.stringify(entryOf(row)))
        .digest("hex")}`;

/** Judges a proposed operator against the registry: what it would open, in words, and the state it rests on. */
export async function judgeOperator(
  registry: RegistrySql,
  operator: OperatorDocument,
): Promise<
  Result<
    { readonly before: object | undefined; readonly expects: string; readonly opens: readonly string[] },
    { readonly pointer: string; readonly problem: string }
  >
> {
  const db = drizzled(registry);
  const iss = operator.kind === "person" ? operator.signIn.iss : "";
  const [before, [holder], [issuer]] = await Promise.all([
    registeredOperator(registry, operator.id),
    db
      .select({ id: operators.id })
      .from(operators)
      .where(and(eq(operators.x5t, operator.x5t), ne(operators.id, operator.id))),
    db.select({ iss: issuers.iss }).from(issuers).where(eq(issuers.iss, iss)),
  ]);
  if (holder !== undefined) return err({ pointer: "/x5t", problem: `is the certificate of ${holder.id}` });
  if (operator.kind === "person" && issuer === undefined)
    return err({ pointer: "/signIn/iss", problem: "is no registered issuer" });
  const roles = operator.roles.join(", ");
  const opens =
    before === undefined
      ? `the operator ${operator.id} is new, a ${operator.kind}, with ${roles}`
      : `the operator ${operator.id} (${before.status}, ${before.roles.join(", ")}) becomes ${operator.status}, with ${roles}`;
  const certificate = before !== undefined && before.x5t !== operator.x5t;
  const further = certificate ? [`${operator.id} gets the certificate ${operator.x5t}`] : [];
  if (before !== undefined && !isSameSignIn(before, rowOf(operator)))
    further.push(`${operator.id} gets a different sign-in`);
  return ok({
    before: before && entryOf(before),
    expects: stateOfOperator(before),
    opens: [opens, ...further],
  });
}

/** SQL: the row of an operator is as it was read, and its id and certificate are free for the proposed row. */
const isAsBefore = (before: OperatorRow | undefined, { id, x5t }: OperatorRow): SQL =>
  before === undefined
    ? sql`NOT EXISTS (SELECT 1 FROM operators AS o WHERE o.id = ${id} OR o.x5t = ${x5t})`
    : sql`EXISTS (SELECT 1 FROM operators AS o WHERE o.id = ${id} AND o.status = ${before.status}
        AND o.x5t = ${before.x5t} AND o.kind = ${before.kind}
        AND json(o.roles) = json(${JSON.stringify(before.roles)})
        AND json(o.sign_in) IS json(${before.signIn === null ? null : JSON.stringify(before.signIn)})
        AND NOT EXISTS (SELECT 1 FROM operators AS x WHERE x.id <> ${id} AND x.x5t = ${x5t}))`;

/** The operator's person, machine or key is a different one. */
const isReplaced = (before: OperatorRow, after: OperatorRow): boolean =>
  before.kind !== after.kind || before.x5t !== after.x5t || !isSameSignIn(before, after);

/** The order of members, which SQL written by hand may choose, does not count. */
const isSameSignIn = (one: OperatorRow, other: OperatorRow): boolean =>
  isSameContent(one.signIn, other.signIn);

/**
 * Approves a proposal about an operator, and does it, and closes the other open proposals about the operator. The
 * roles for a limited time of a person who is replaced end. False: the operator or the author of the proposal has
 * changed since they were read, and nothing is written.
 */
export async function approveOperator(
  registry: RegistrySql,
  proposal: ProposalRow,
  operator: OperatorDocument,
  before: OperatorRow | undefined,
  decision: ProposalDecision,
): Promise<boolean> {
  const db = drizzled(registry);
  const row = rowOf(operator);
  const condition = and(isAsBefore(before, row), authorStands(proposal));
  const approved = approval(registry, proposal.id, decision, condition).returning({ id: proposals.id });
  const closing = { operator: decision.operator, at: decision.at, except: proposal.id };
  const { id, ...set } = row;
  const isOther = before !== undefined && (isReplaced(before, row) || row.status === "suspended");
  const ofProposal = db
    .select(valuesOf(row))
    .from(proposals)
    .where(and(eq(proposals.id, proposal.id), condition));
  // The condition is of the approval too: all statements take effect, or none. It is about the row as it was, so
  // the row changes last.
  const [done] = await db.batch([
    approved,
    closeProposalsOf(registry, { operator: id, andBy: isOther }, closing, condition),
    ...(isOther ? [endElevations(registry, id, decision.at, condition)] : []),
    before === undefined
      ? db.insert(operators).select(ofProposal)
      : db
          .update(operators)
          .set(set)
          .where(and(eq(operators.id, id), condition)),
  ]);
  return done.length > 0;
}

/** An operator's entry before and after, for the record. */
export const operatorEffect = (
  name: string,
  before: OperatorRow | undefined,
  after: OperatorDocument | undefined,
): object => ({
  kind: "operator",
  name,
  ...(before !== undefined && { before: entryOf(before) }),
  ...(after !== undefined && { after }),
});

interface Narrowing {
  /** The operator who suspends or removes. */
  readonly operator: string;
  readonly at: Instant;
}

/** Why an operator stays as it is. */
export type NotNarrowed = "operator_not_registered" | "last_person_of_role";

/**
 * Suspends an operator, ends its roles for a limited time, and closes the open proposals of and about it. Returns the
 * entry before and after.
 */
export async function suspendOperator(
  registry: RegistrySql,
  id: string,
  by: Narrowing,
): Promise<Result<object, NotNarrowed>> {
  const before = await narrow(registry, id, by, (db, may) => [
    endElevations(registry, id, by.at, may),
    db
      .update(operators)
      .set({ status: "suspended" })
      .where(and(eq(operators.id, id), may))
      .returning({ id: operators.id }),
  ]);
  if (!before.ok) return before;
  const entry = entryOf(before.value);
  return ok({ kind: "operator", name: id, before: entry, after: { ...entry, status: "suspended" } });
}

/**
 * Removes an operator with its roles for a limited time, and closes the open proposals of and about it. Returns its
 * entry.
 */
export async function removeOperator(
  registry: RegistrySql,
  id: string,
  by: Narrowing,
): Promise<Result<object, NotNarrowed>> {
  const before = await narrow(registry, id, by, (db, may) => [
    db.delete(elevations).where(and(eq(elevations.operator, id), may)),
    db
      .delete(operators)
      .where(and(eq(operators.id, id), may))
      .returning({ id: operators.id }),
  ]);
  return before.ok ? ok(operatorEffect(id, before.value, undefined)) : before;
}

/**
 * SQL: a person ends any operator; a machine does not end the last active person of a role. A stolen certificate of a
 * machine could otherwise end every person, and no person could end the machine.
 */
const mayEnd = (id: string, by: string): SQL =>
  sql`(EXISTS (SELECT 1 FROM operators AS actor WHERE actor.id = ${by} AND actor.kind = 'person')
    OR NOT EXISTS (SELECT 1 FROM operators AS target, json_each(target.roles) AS role
      WHERE target.id = ${id} AND target.kind = 'person' AND target.status = 'active'
      AND NOT EXISTS (SELECT 1 FROM operators AS person, json_each(person.roles) AS held
        WHERE person.id <> ${id} AND person.kind = 'person' AND person.status = 'active'
        AND held.value = role.value)))`;

/**
 * Takes an operator's rights away in one batch. Each statement has the condition of the operator's row as it was, so
 * the statement that changes this row is the last one, and returns the row if it changed. Returns the row of before.
 */
async function narrow(
  registry: RegistrySql,
  id: string,
  by: Narrowing,
  taking: (db: ReturnType<typeof drizzled>, may: SQL) => readonly BatchItem<"sqlite">[],
): Promise<Result<OperatorRow, NotNarrowed>> {
  const before = await registeredOperator(registry, id);
  if (before === undefined) return err("operator_not_registered");
  const db = drizzled(registry);
  const may = mayEnd(id, by.operator);
  const closing = closeProposalsOf(registry, { operator: id, andBy: true }, by, may);
  const done: unknown = (await db.batch([closing, ...taking(db, may)])).at(-1);
  return Array.isArray(done) && done.length > 0 ? ok(before) : err("last_person_of_role");
}

const rowOf = (operator: OperatorDocument): OperatorRow => {
  const { id, status, x5t, roles, kind } = operator;
  return { id, status, x5t, roles, kind, signIn: operator.kind === "person" ? operator.signIn : null };
};

/** A row as the values of a select, in the order of the columns. */
const valuesOf = ({ id, status, x5t, roles, kind, signIn }: OperatorRow) => ({
  id: sql<string>`${id}`.as("id"),
  status: sql<OperatorRow["status"]>`${status}`.as("status"),
  x5t: sql<string>`${x5t}`.as("x5t"),
  roles: sql<readonly string[]>`${JSON.stringify(roles)}`.as("roles"),
  kind: sql<OperatorRow["kind"]>`${kind}`.as("kind"),
  signIn: sql<unknown>`${signIn === null ? null : JSON.stringify(signIn)}`.as("sign_in"),
});

const entryOf = ({ signIn, ...row }: OperatorRow): object => ({ ...row, ...(signIn !== null && { signIn }) });
