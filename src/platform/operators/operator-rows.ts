import { createHash } from "node:crypto";
import { and, eq, gt, ne } from "drizzle-orm";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { ListedOperator, OperatorDocument } from "#registry/operator-document";
import { approval, type ProposalDecision } from "#platform/proposals/proposal-rows";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { elevations, issuers, operators } from "#platform/registry/schema";

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
    { readonly expects: string; readonly opens: readonly string[] },
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
  if (before !== undefined && JSON.stringify(before.signIn) !== JSON.stringify(rowOf(operator).signIn))
    further.push(`${operator.id} gets a different sign-in`);
  return ok({ expects: stateOfOperator(before), opens: [opens, ...further] });
}

/**
 * Approves a proposal about an operator, and does it. False: the operator has changed since it was read, and stays
 * as it is; the proposal is used up. Throws, and does neither, if a new operator's id or certificate is taken.
 */
export async function approveOperator(
  registry: RegistrySql,
  proposal: string,
  operator: OperatorDocument,
  before: OperatorRow | undefined,
  decision: ProposalDecision,
): Promise<boolean> {
  const db = drizzled(registry);
  const approved = approval(registry, proposal, decision);
  const row = rowOf(operator);
  if (before === undefined) {
    await db.batch([approved, db.insert(operators).values(row)]);
    return true;
  }
  const { id, ...set } = row;
  const asBefore = and(
    eq(operators.id, id),
    eq(operators.status, before.status),
    eq(operators.x5t, before.x5t),
    eq(operators.roles, before.roles),
  );
  const [, changed] = await db.batch([
    approved,
    db.update(operators).set(set).where(asBefore).returning({ id: operators.id }),
  ]);
  return changed.length > 0;
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

/** Suspends an operator. Undefined: it is not registered. */
export async function suspendOperator(registry: RegistrySql, id: string): Promise<object | undefined> {
  const before = await registeredOperator(registry, id);
  if (before === undefined) return undefined;
  await drizzled(registry).update(operators).set({ status: "suspended" }).where(eq(operators.id, id));
  return {
    kind: "operator",
    name: id,
    before: entryOf(before),
    after: { ...entryOf(before), status: "suspended" },
  };
}

/** Removes an operator, with its roles for a limited time. Undefined: it is not registered. */
export async function removeOperator(registry: RegistrySql, id: string): Promise<object | undefined> {
  const before = await registeredOperator(registry, id);
  if (before === undefined) return undefined;
  const db = drizzled(registry);
  await db.batch([
    db.delete(elevations).where(eq(elevations.operator, id)),
    db.delete(operators).where(eq(operators.id, id)),
  ]);
  return operatorEffect(id, before, undefined);
}

const rowOf = (operator: OperatorDocument): OperatorRow => {
  const { id, status, x5t, roles, kind } = operator;
  return { id, status, x5t, roles, kind, signIn: operator.kind === "person" ? operator.signIn : null };
};

const entryOf = ({ signIn, ...row }: OperatorRow): object => ({ ...row, ...(signIn !== null && { signIn }) });
