import { createHash } from "node:crypto";
import {
  and,
  asc,
  count,
  desc,
  eq,
  gt,
  inArray,
  isNotNull,
  isNull,
  lte,
  notInArray,
  or,
  sql,
} from "drizzle-orm";
import { instant, type Instant } from "#kernel/clock";
import { drizzled, type RegistrySql } from "#platform/registry/registry-sql";
import { cases } from "#platform/registry/schema";
import type { Statement } from "#policy/consent/consent";
import { casesPageMax } from "#registry/case-document";

export type CaseRow = typeof cases.$inferSelect;

/** The request by which a case begins. */
export interface CaseReceipt {
  readonly requestId: string;
  readonly at: Instant;
  readonly client: string;
  readonly origin: string;
}

/** A write that says something of a case; without a patient it links an amendment. */
export interface NotedWrite {
  readonly patient?: string | undefined;
  readonly of: readonly string[];
  /** The rows that a request disputes, or that an amendment touches. A gateway of before this version names none. */
  readonly rows?: readonly string[];
  /** The individual disagrees with a denial. */
  readonly isDisagreement?: boolean;
  readonly index: number;
  readonly type: string;
  readonly id?: string | undefined;
}

const resourceOf = ({ type, id }: NotedWrite): string | undefined =>
  id === undefined ? undefined : `${type}/${id}`;

/** A case is found again by the row if its id was known before it was sent, else by the request. */
const caseIdOf = ({ origin, requestId }: CaseReceipt, write: NotedWrite): string =>
  createHash("sha256")
    .update(JSON.stringify(["phylax case v1", origin, resourceOf(write) ?? [requestId, write.index]]))
    .digest("hex")
    .slice(0, 32);

// For each patient and client: one client fills neither the officer's list nor the room of the patient's own app. A case has as
// many statements.
const openMax = 20;

/** A statement is known by its place, which a new version has too, and else by its request. */
const disagreementKey = ({ requestId }: CaseReceipt, { index }: NotedWrite): string =>
  `${requestId}/${index}`;
const ofDisagreement = (key: string, member = "") => `$."${key}"${member}`;

/**
 * Opens a case for each request that belongs to none, or no case at all. A message of a known case opens no further case. A
 * statement of disagreement is noted in the case that it names, and opens a case if it names none that is open or denied: no
 * statement is in no list.
 * `too_many`: the client would have more open cases of a patient than it may, or the case more statements.
 */
export async function receiveCases(
  registry: RegistrySql,
  { requestId, at, client, origin }: CaseReceipt,
  writes: readonly NotedWrite[],
  mostOpen = openMax,
): Promise<"too_many" | undefined> {
  const db = drizzled(registry);
  const ofOrigin = and(eq(cases.origin, origin), isNull(cases.informedBy)); // a patient's request is no part of a notice
  const opening: (typeof cases.$inferInsert)[] = [];
  const noting: { readonly id: string; readonly path: string; readonly said: string }[] = [];
  for (const write of writes) {
    const { patient, of, rows = [], isDisagreement = false } = write;
    if (patient === undefined) continue;
    const resource = resourceOf(write);
    // A request that names a decided one is a new request; a new version of a decided request is none.
    // an officer may have decided the case after this message came
    const ofOpen = and(
      inArray(cases.resource, of),
      or(isNull(cases.decidedAt), isDisagreement ? isNotNull(cases.denialLetter) : gt(cases.decidedAt, at)),
    );
    const isKnown = resource === undefined ? ofOpen : or(eq(cases.resource, resource), ofOpen);
    const [known] = await db
      .select({ id: cases.id, disagreements: cases.disagreements })
      .from(cases)
      .where(and(ofOrigin, eq(cases.patient, patient), isKnown))
      .orderBy(desc(cases.decidedAt))
      .limit(1);
    const ofOpening = opening.find(
      (each) => each.patient === patient && [resource, ...of].includes(each.resource ?? ""),
    );
    const id = (known ?? ofOpening)?.id ?? caseIdOf({ requestId, at, client, origin }, write);
    if (known === undefined && ofOpening === undefined)
      opening.push({ id, receivedAt: at, requestId, client, origin, patient, resource, disputed: rows });
    if (!isDisagreement) continue;
    const noted = Object.values(known?.disagreements ?? {});
    if (resource !== undefined && noted.some((each) => each.resource === resource)) continue;
    const others = noting.filter((each) => each.id === id);
    if (noted.length + others.length >= mostOpen) return "too_many";
    const path = ofDisagreement(disagreementKey({ requestId, at, client, origin }, write));
    noting.push({ id, path, said: JSON.stringify({ at, resource: resource ?? null }) });
  }
  for (const [patient, further] of Map.groupBy(opening, (each) => each.patient)) {
    if (further.length > mostOpen) return "too_many";
    const ids = further.map(({ id }) => id);
    const isOther = and(ofOrigin, isNull(cases.decidedAt), notInArray(cases.id, ids));
    const [open] = await db
      .select({ many: count() })
      .from(cases)
      .where(and(isOther, eq(cases.patient, patient), eq(cases.client, client)));
    if ((open?.many ?? 0) + further.length > mostOpen) return "too_many";
  }
  // All or none: a case without its request has a running clock.
  const inserts = opening.map((row) => db.insert(cases).values(row).onConflictDoNothing());
  const notes = noting.map(({ id, path, said }) =>
    db
      .update(cases)
      .set({
        disagreements: sql`json_insert(coalesce(${cases.disagreements}, '{}'), ${path}, json(${said}))`,
      })
      .where(eq(cases.id, id)),
  );
  const [first, ...rest] = [...inserts, ...notes];
  if (first !== undefined) await db.batch([first, ...rest]);
  return undefined;
}

/** Says how the writes ended: where a request is stored, which case has no request, which case has an amendment. */
export async function settleCases(
  registry: RegistrySql,
  receipt: CaseReceipt,
  writes: readonly (NotedWrite & { readonly end: string; readonly storedId?: string | undefined })[],
): Promise<void> {
  const db = drizzled(registry);
  const { requestId, at, client, origin } = receipt;
  for (const write of writes) {
    const { patient, of, rows = [], type, storedId, end } = write;
    const isOwn = and(eq(cases.id, caseIdOf(receipt, write)), eq(cases.requestId, requestId));
    const key = disagreementKey(receipt, write);
    const hasNoted = and(
      eq(cases.origin, origin),
      eq(cases.patient, patient ?? ""),
      sql`json_type(${cases.disagreements}, ${ofDisagreement(key)}) IS NOT NULL`,
    );
    if (patient === undefined && end === "stored")
      await db
        .update(cases)
        .set({ amendedAt: at, amendedBy: client, amendedRequest: requestId, amendedRows: rows })
        .where(
          and(
            eq(cases.origin, origin),
            inArray(cases.resource, of),
            isNull(cases.decidedAt),
            isNull(cases.amendedAt),
            // a request that names its rows is met by a change of one of them
            sql`(coalesce(${cases.disputed}, '[]') = '[]' OR EXISTS (SELECT 1 FROM json_each(${cases.disputed}) AS row
              JOIN json_each(${JSON.stringify(rows)}) AS touched ON touched.value = row.value))`,
          ),
        );
    else if (end === "not stored") {
      await db.delete(cases).where(and(isOwn, isNull(cases.decidedAt)));
      if (write.isDisagreement)
        await db
          .update(cases)
          .set({ disagreements: sql`json_remove(${cases.disagreements}, ${ofDisagreement(key)})` })
          .where(hasNoted);
    } else if (end === "stored" && storedId !== undefined) {
      // An officer may have taken its case for void meanwhile. There was room for the case at its receipt.
      await receiveCases(registry, receipt, [write], Infinity);
      await db
        .update(cases)
        .set({ resource: `${type}/${storedId}` })
        .where(and(isOwn, isNull(cases.resource)));
      const place = `${type}/${storedId}`;
      if (write.isDisagreement)
        await db
          .update(cases)
          .set({
            disagreements: sql`json_replace(${cases.disagreements}, ${ofDisagreement(key, ".resource")}, ${place})`,
          })
          .where(hasNoted);
    }
  }
}

// A denied case with a statement waits until the officer files what follows disclosures.
const isUnanswered = and(
  isNotNull(cases.denialLetter),
  sql`EXISTS (SELECT 1 FROM json_each(${cases.disagreements}) AS each WHERE each.value ->> 'at' > coalesce(${cases.statedAt}, 0))`,
);
const isInState = {
  open: or(isNull(cases.decidedAt), isUnanswered),
  decided: isNotNull(cases.decidedAt),
  all: undefined,
} as const;

/** A page of cases, the oldest first: its time ends first. `after`: the last case of the page before. */
export const listCases = async (
  registry: RegistrySql,
  {
    state,
    id,
    after,
  }: {
    readonly state: keyof typeof isInState;
    readonly id?: string | undefined;
    readonly after?: string | undefined;
  },
): Promise<readonly CaseRow[]> => {
  const isLater =
    after === undefined
      ? undefined
      : sql`(${cases.receivedAt}, ${cases.id}) >
          (SELECT last.received_at, last.id FROM ${cases} AS last WHERE last.id = ${after})`;
  return await drizzled(registry)
    .select()
    .from(cases)
    .where(id === undefined ? and(isInState[state], isLater) : eq(cases.id, id))
    .orderBy(asc(cases.receivedAt), asc(cases.id))
    .limit(casesPageMax);
};

// No request and its settling take longer: the case of a younger request may end by itself.
export const settledMilliseconds = 600_000;

const isUnconfirmed = (at: Instant) =>
  and(isNull(cases.resource), lte(cases.receivedAt, instant(at - settledMilliseconds)));
const isOpen = (id: string) => and(eq(cases.id, id), isNull(cases.decidedAt));

/** Says where the request of an unconfirmed case is stored. False: there is none of this id. */
export async function confirmCase(
  registry: RegistrySql,
  id: string,
  resource: string,
  at: Instant,
): Promise<boolean> {
  const changed = await drizzled(registry)
    .update(cases)
    .set({ resource })
    .where(and(isOpen(id), isUnconfirmed(at)))
    .returning({ id: cases.id });
  return changed.length > 0;
}

/**
 * Deletes an unconfirmed case, whose request is not stored, or a notice of another entity that amends nothing. False: there is
 * none of this id.
 */
export async function voidCase(registry: RegistrySql, id: string, at: Instant): Promise<boolean> {
  const gone = await drizzled(registry)
    .delete(cases)
    .where(and(isOpen(id), or(isUnconfirmed(at), and(isNotNull(cases.informedBy), isNull(cases.amendedAt)))))
    .returning({ id: cases.id });
  return gone.length > 0;
}

/** An open case; undefined: there is none of this id. */
export const openCase = async (registry: RegistrySql, id: string): Promise<CaseRow | undefined> =>
  (await drizzled(registry).select().from(cases).where(isOpen(id)))[0];

type InformedCase = Pick<CaseRow, "origin" | "patient" | "receivedAt" | "requestId" | "client"> & {
  readonly resource: string;
  readonly informedBy: string;
  readonly disputed: readonly string[];
};

/**
 * Opens a case for a notice of another entity (164.526(e)), once. Returns its id. Undefined: the notice is a request, or a
 * notice with a different patient or sender.
 */
export async function openInformedCase(
  registry: RegistrySql,
  informed: InformedCase,
): Promise<string | undefined> {
  const db = drizzled(registry);
  const { origin, resource, patient, informedBy } = informed;
  const id = createHash("sha256")
    .update(JSON.stringify(["phylax informed case v1", origin, resource]))
    .digest("hex")
    .slice(0, 32);
  const known = await db
    .select({ id: cases.id, patient: cases.patient, informedBy: cases.informedBy })
    .from(cases)
    .where(and(eq(cases.origin, origin), eq(cases.resource, resource)));
  const isSame = known.every(
    (each) => each.id === id && each.patient === patient && each.informedBy === informedBy,
  );
  if (!isSame) return undefined;
  await db
    .insert(cases)
    .values({ ...informed, id })
    .onConflictDoNothing();
  return id;
}

/**
 * The ids under which statements about the patient may be filed, in force or withdrawn: no FHIR server has a Consent of
 * this id.
 */
export async function statementsFiled(
  registry: RegistrySql,
  origin: string,
  patient: string,
): Promise<readonly string[]> {
  const found = await drizzled(registry)
    .select({ id: cases.id })
    .from(cases)
    .where(and(eq(cases.origin, origin), eq(cases.patient, patient), isNotNull(cases.denialLetter)));
  return found.map(({ id }) => statementName(id));
}
export const statementName = (id: string): string => `statement/${id}`;

type StatementStep = Pick<CaseRow, "statedAt" | "statedBy"> & { readonly statement: Statement };

/**
 * Notes the statement of a denied case: without a time before it is filed, with the time after. False: the case has
 * a statement, or a different one begins. A repeat of the same statement finishes what a crash left.
 */
export async function noteStatement(
  registry: RegistrySql,
  id: string,
  step: StatementStep,
): Promise<boolean> {
  const isGoingOn = and(eq(cases.statement, step.statement), isNotNull(cases.statedBy));
  // A withdrawal that has begun ends first: two filings that cross leave a case with a time and no statement.
  const isOwn = step.statedAt === null ? or(isNull(cases.statement), isGoingOn) : isGoingOn;
  const changed = await drizzled(registry)
    .update(cases)
    .set(step)
    .where(and(eq(cases.id, id), isNull(cases.statedAt), isOwn))
    .returning({ id: cases.id });
  return changed.length > 0;
}

/** Begins to withdraw the statement of a case: without its officer it does not follow rows any more. */
export async function endStatement(registry: RegistrySql, id: string): Promise<void> {
  await drizzled(registry).update(cases).set({ statedAt: null, statedBy: null }).where(eq(cases.id, id));
}

/** Removes the statement of a case, after it is withdrawn; not a statement that an officer filed meanwhile. */
export async function removeStatement(registry: RegistrySql, id: string): Promise<void> {
  await drizzled(registry)
    .update(cases)
    .set({ statement: null })
    .where(and(eq(cases.id, id), isNull(cases.statedBy)));
}

type CaseStep = Partial<Omit<CaseRow, "id" | "receivedAt" | "requestId">>;

/** Changes an open case once: the extension of an extended case changes nothing. False: nothing was changed. */
export async function changeCase(registry: RegistrySql, id: string, step: CaseStep): Promise<boolean> {
  const changed = await drizzled(registry)
    .update(cases)
    .set(step)
    .where(
      and(
        isOpen(id),
        step.decision === "accepted" ? undefined : isNull(cases.informedBy), // 164.526(e) has no denial
        step.extendedAt === undefined ? undefined : isNull(cases.extendedAt),
        step.decision === "accepted" || step.decision === "partly-denied"
          ? isNotNull(cases.amendedAt)
          : undefined,
      ),
    )
    .returning({ id: cases.id });
  return changed.length > 0;
}
