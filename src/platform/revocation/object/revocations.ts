import { DurableObject } from "cloudflare:workers";
import { authorityMillisecondsMax } from "#identity/authority/authority";
import { denialName } from "#identity/denial";
import { denialScope, readDenial, type Denial } from "#identity/denial-document";
import type { MergeMode } from "#registry/merge";
import type { RegistryProblem } from "#registry/problem";
import type { PlannedChange } from "#registry/plan";
import type { RecordName, RevocationUpdate } from "#registry/revocation";
import { instant, type Instant } from "#kernel/clock";
import { namedRegions } from "#ledger/layout";
import { ok, type Result } from "#kernel/result";
import { within } from "#platform/within";
import { allowedPlaces, type PlaceVariables } from "#platform/config/allowed-places";
import {
  applyRegistry,
  isPlanOf,
  stalePlan,
  type AlsoWritten,
  type RegistryCounts,
  type RegistryRules,
} from "#platform/registry/apply-registry";
import { type ApprovalVariables, mayOnePersonOpen, maySeed } from "#platform/registry/one-person";
import {
  approval,
  expectedDenial,
  findProposal,
  type ProposalDecision,
} from "#platform/proposals/proposal-rows";
import type { Listener } from "#platform/guard/object/guard-epochs";
import {
  consentChangeOf,
  consentRecordOf,
  endedVersion,
  filedVersions,
  insertConsents,
  originsWithConsents,
  versionOf,
  type ConsentChange,
  type ConsentRow,
  type FiledRow,
  type NewRow,
} from "#platform/consents/consent-rows";
import { claimMilliseconds } from "#platform/consents/consent-readings";
import {
  type ConsentWriter,
  type DoneChange,
  type LiveDenial,
  type PendingMode,
  RevocationStore,
} from "./store.ts";
import { FilingTurns } from "./filing-turns.ts";
import { WriteTurns } from "./write-turns.ts";

export interface RevocationsEnv extends PlaceVariables, ApprovalVariables {
  readonly REVOCATIONS: DurableObjectNamespace<Revocations>;
  readonly REGISTRY: D1Database;
  readonly PUBLIC_URL: string;
  readonly LEDGER_REGIONS?: string;
}

/** The rules of this deployment for a registry document. */
export const registryRules = (env: Omit<RevocationsEnv, "REVOCATIONS" | "REGISTRY">): RegistryRules => ({
  clock: now,
  publicUrl: env.PUBLIC_URL,
  allowed: env.ORIGIN_HOSTS === "" ? undefined : allowedPlaces(env),
  regions: env.LEDGER_REGIONS ? namedRegions(env.LEDGER_REGIONS) : undefined,
});

/** A change of the registry that a second person approved. */
export interface ApprovedChange {
  readonly proposal: string;
  readonly change: unknown;
  readonly decision: ProposalDecision;
}

/** The approval of a change, which is written with the change. */
const writtenWith = ({ proposal, change, decision }: ApprovedChange): AlsoWritten => ({
  async problem(session, plan) {
    const found = await findProposal(session, proposal);
    // The approval is of the stored change: a caller cannot bring a different one.
    const isSame =
      found?.body.kind === "change" && JSON.stringify(found.body.change) === JSON.stringify(change);
    if (found?.state !== "open" || !isSame)
      return { reason: "conflict", pointer: "/proposal", problem: "is no longer open" };
    return isPlanOf(found.expects, plan) ? undefined : stalePlan;
  },
  write: (session) => approval(session, proposal, decision),
});

/** An applied document: the numbers of its entries, and each changed entry before and after. */
export interface AppliedRegistry {
  readonly counts: RegistryCounts;
  readonly changes: readonly PlannedChange[];
}

/** The only object of its class. It is global, no request waits for it, and guards read it (P4). */
export const revocationsOf = (env: RevocationsEnv): DurableObjectStub<Revocations> =>
  env.REVOCATIONS.getByName("registry");

// An apply takes a second or two. A pending write that remains after the first apply belongs to a write that
// failed, or to an object that ended meanwhile.
const redriveMilliseconds = 10_000;
// D1 ends each query after 30 s, and a write has two.
const turnMilliseconds = { patience: 20_000, longest: 60_000 };
// D1 does one query at a time.
const filedAtOnce = 4;
// Between the two calls the gateway reads the Consents, and the names behind their actors, as long as a claim lasts.
const unfiledMilliseconds = claimMilliseconds + 10_000;
// For one client at a time, in the five minutes that its tokens live: a client has one or two.
const ownTokensMax = 50;
// A denial needs no D1, so the first call waits no longer than this.
const learningMilliseconds = 1_000;

/**
 * Stores the revocations and orders every write of the registry (P4). A write is announced durably as begun
 * before D1 knows of it, and as done afterwards, with D1's bookmark. The alarm repeats a write that was cut
 * off between. A denial needs no D1.
 */
export class Revocations extends DurableObject<RevocationsEnv> {
  readonly #store: RevocationStore;
  readonly #turns = new WriteTurns(turnMilliseconds);
  readonly #filingTurns = new FilingTurns(filedAtOnce);
  #isLearning = false;

  constructor(state: DurableObjectState, env: RevocationsEnv) {
    super(state, env);
    this.#store = new RevocationStore(state.storage, now());
    const learn = () =>
      within(learningMilliseconds, this.#learnConsentOrigins(), "D1 does not answer in time").catch(() => {});
    if (this.#store.consentOrigins() === undefined) void state.blockConcurrencyWhile(learn);
    // a storage that was restored to an earlier time lacks the origins of later
    else state.waitUntil(learn());
  }

  /**
   * All deltas after `since` that concern the listener, or a snapshot if the deltas do not go back that far.
   */
  news(listener: Listener, since?: number): RevocationUpdate {
    if (this.#store.consentOrigins() === undefined) this.ctx.waitUntil(this.#learnConsentOrigins());
    return this.#store.news(listener, since, now());
  }

  /** A storage that is new, or that was lost, lists no origin: until D1 answers, each origin may have Consents. */
  async #learnConsentOrigins(): Promise<void> {
    if (this.#isLearning) return;
    this.#isLearning = true;
    try {
      this.#store.putConsentOrigins(
        await originsWithConsents(this.env.REGISTRY.withSession("first-primary")),
      );
    } catch {
      // D1 does not answer: the next question of a guard tries again
    } finally {
      this.#isLearning = false;
    }
  }

  /** The denial is in force when this returns: within seven seconds every lease knows it. */
  deny(denial: Denial): void {
    this.#store.deny(denialName(denial), denialScope(denial), endOfDenial(denial, now()), now());
  }

  /**
   * Denies a token that its own client revokes. Only that client's guard receives the delta, because no
   * other client can use the token. False when the client has revoked too many tokens lately: it must not
   * use up the room that operators need in an emergency.
   */
  denyOwnToken(client: string, denial: Extract<Denial, { kind: "token" }>): boolean {
    if (this.#store.ending(client, now()) >= ownTokensMax) return false;
    this.#store.deny(denialName(denial), { client, issuer: null }, denial.until, now());
    return true;
  }

  /** The epoch that put this denial in force; `undefined`: there is no such denial. */
  async deniedSince(denial: Denial): Promise<number | undefined> {
    return this.#store.deniedSince(denialName(denial));
  }

  /** False when no denial has that name. Under `two-persons` it lifts nothing: a proposal does. */
  lift(denial: Denial): boolean | "approval_required" {
    if (!mayOnePersonOpen(this.env)) return "approval_required";
    return this.#store.lift(denialName(denial), denialScope(denial));
  }

  /**
   * Ends the denial of an approved proposal. False when `since` is not the epoch that put it in force. Throws for a
   * proposal that is not approved, or about a different denial: of a different name, or put in force later.
   */
  async liftApproved(proposal: string, denial: Denial, since: number): Promise<boolean> {
    const found = await findProposal(this.env.REGISTRY.withSession("first-primary"), proposal);
    const read = found?.body.kind === "lift" ? readDenial(found.body.denial) : undefined;
    const isSame = read?.ok === true && denialName(read.value) === denialName(denial);
    if (found?.state !== "approved" || !isSame || found.expects !== expectedDenial(since))
      throw new Error("control: no approved proposal lifts this denial");
    return this.#store.lift(denialName(denial), denialScope(denial), since);
  }

  /** The live denials, for the operators' console. */
  async denials(most: number): Promise<readonly LiveDenial[]> {
    return this.#store.live(now(), most);
  }

  /**
   * Merges a registry file (see `applyRegistry`) after earlier writes. Throws when D1 fails: the alarm
   * repeats a write that had begun, until another write comes. `mayOpen` false, or `APPROVALS` of this worker: a
   * document that opens access is refused.
   */
  async apply(
    document: unknown,
    mode: MergeMode,
    mayOpen: boolean,
  ): Promise<Result<AppliedRegistry, RegistryProblem>> {
    return await this.#applyInTurn(document, mode, mayOpen && mayOnePersonOpen(this.env));
  }

  /** Merges a file of the sandbox's launcher. Throws in every deployment: nothing there sets `SEEDING`. */
  async seed(document: unknown, mode: MergeMode): Promise<Result<AppliedRegistry, RegistryProblem>> {
    if (!maySeed(this.env)) throw new Error("control: only the sandbox registers entries without a person");
    return await this.#applyInTurn(document, mode, true);
  }

  /** Applies a change that a second person approved, in one transaction with the approval. */
  async applyApproved(approved: ApprovedChange): Promise<Result<AppliedRegistry, RegistryProblem>> {
    return await this.#applyInTurn(approved, "approved", true);
  }

  async #applyInTurn(
    document: unknown,
    mode: PendingMode,
    mayOpen: boolean,
  ): Promise<Result<AppliedRegistry, RegistryProblem>> {
    return await this.#turns.run(async () => {
      // An earlier write that was cut off must come first. After this write it would undo it: a grant that
      // is being narrowed would be wide again, without a delta.
      for (const { id, document: earlier, mode: earlierMode } of this.#store.pending()) {
        try {
          await this.#apply(JSON.parse(earlier), earlierMode, true, id);
        } catch {
          // given up, as its caller was told: a broken write must not delay a write that narrows access
          this.#store.finish(id, null);
        }
      }
      return await this.#apply(document, mode, mayOpen, undefined);
    });
  }

  /**
   * Begins a change of the consents of these records; its content follows with {@link fileConsents}. Until then, and
   * until D1 has it, only the denials of these patients count, if there is room to announce it. Throws when the writer
   * has too many changes pending.
   */
  async beginConsents(
    origin: string,
    records: readonly RecordName[],
    writer?: ConsentWriter,
  ): Promise<number> {
    const id = this.#store.beginConsents(origin, records, writer, now());
    await this.#alarmAt(now() + redriveMilliseconds);
    return id;
  }

  /**
   * Files a change that was announced. Undefined when it was given up meanwhile. Throws when D1 fails: the alarm
   * repeats the write.
   */
  async fileConsents(id: number, change: ConsentChange): Promise<DoneChange | undefined> {
    if (!this.#store.putConsents(id, JSON.stringify(change), recordsIn(change))) return undefined;
    await this.ctx.storage.sync(); // D1 must not know of it first
    return await this.#inTurn(id, change);
  }

  #inTurn(id: number, change: ConsentChange): Promise<DoneChange> {
    return this.#filingTurns.run(this.#store.consentAuthority(id), () => this.#writeConsents(id, change));
  }

  /** The pending changes of consents that name one of these records: the names, and the rows that are known. */
  pendingConsents(asked: readonly RecordName[]): {
    readonly names: readonly RecordName[];
    readonly rows: readonly ConsentRow[];
  } {
    const pending = this.#store.pendingConsents(asked);
    return {
      names: this.#store.pendingConsentNames(asked),
      rows: pending.flatMap((document) => (document === "" ? [] : consentChangeOf(document).rows)),
    };
  }

  /** A Consent that was filed for a further patient, or was deleted, ends there. */
  async #writeConsents(id: number, change: ConsentChange): Promise<DoneChange> {
    const { rows, ended, unread = [], keyId = null } = change;
    const session = this.env.REGISTRY.withSession("first-primary");
    const filed = rows.flatMap(({ consent }) => allNames(change, consent));
    const before = await filedVersions(session, [...filed, ...ended, ...unread]);
    const weakened = before
      .filter(({ consent, isActive, mayPermit }) => isActive && mayPermit && unread.includes(consent))
      .map((row) => withKey({ ...versionOf(row), mayPermit: false }, row.keyId));
    const moved = before
      .filter(
        (known) =>
          known.isActive &&
          !rows.some((row) => row.subject === known.subject && row.consent === known.consent) &&
          !staysFiled(known, change),
      )
      .map((row) => withKey(endedVersion(row), row.keyId));
    // A late write must not bring back a Consent that a later change filed for a different patient.
    const isLate = ({ consent }: ConsentRow) =>
      before.some((row) => allNames(change, consent).includes(row.consent) && row.change > id);
    const hasRoom = this.#store.consentAuthority(id) !== "none";
    // a Consent that is in force already adds none: its permit must end whatever the others are
    const isInForce = ({ consent, subject }: ConsentRow) =>
      before.some(
        (row) =>
          row.isActive &&
          allNames(change, consent).includes(row.consent) &&
          allNames(change, subject).includes(row.subject),
      );
    const refused = await insertConsents(
      session,
      id,
      [...rows.map((row) => withKey(row, keyId)), ...moved, ...weakened].filter((row) => !isLate(row)),
      (row) =>
        hasRoom || !row.isActive || row.mayPermit || row.filedBy === null || isInForce(row)
          ? undefined
          : allNames(change, row.subject),
    );
    const done = this.#store.finish(id, session.getBookmark(), [
      ...recordsIn(change),
      ...[...moved, ...weakened].map(consentRecordOf),
    ]);
    return { ...done, refused };
  }

  /** A change whose content never came ends; a change that D1 refused is written again. */
  async #redriveConsents(): Promise<void> {
    for (const { id, begun } of this.#store.unfiledConsents()) {
      const document = this.#store.consentDocument(id) ?? "";
      if (document !== "") await this.#inTurn(id, consentChangeOf(document)).catch(() => {}); // D1 fails: the next alarm repeats it
      else if (begun <= now() - unfiledMilliseconds) this.#store.giveUp(id);
    }
  }

  async #alarmAt(time: number): Promise<void> {
    const set = await this.ctx.storage.getAlarm();
    if (set === null || set > time) await this.ctx.storage.setAlarm(time);
  }

  override async alarm(): Promise<void> {
    await this.#redriveConsents();
    try {
      await this.#turns.run(async () => {
        for (const { id, document, mode } of this.#store.pending())
          await this.#apply(JSON.parse(document), mode, true, id);
      });
    } catch {
      // D1 does not answer: the write stays pending, with the writes after it, and the next alarm tries
      // again.
    }
    if (this.#store.pending().length + this.#store.unfiledConsents().length > 0)
      await this.#alarmAt(now() + redriveMilliseconds);
  }

  /** A write that had begun (`again`) was permitted then. */
  async #apply(
    document: unknown,
    mode: PendingMode,
    mayOpen: boolean,
    again: number | undefined,
  ): Promise<Result<AppliedRegistry, RegistryProblem>> {
    // `applyApproved` and `begin` stored it
    const approved = mode === "approved" ? (document as ApprovedChange) : undefined;
    let changes: readonly PlannedChange[] = [];
    let id = again;
    let bookmark: string | null = null;
    const written = mode === "approved" ? "change" : mode;
    const applied = await applyRegistry(this.env.REGISTRY, approved?.change ?? document, written, {
      ...registryRules(this.env),
      narrowsOnly: !mayOpen,
      also: approved && writtenWith(approved),
      begin: async (records) => {
        id = this.#store.begin(id, JSON.stringify(document), mode, records, now());
        await this.ctx.storage.setAlarm(now() + redriveMilliseconds);
        await this.ctx.storage.sync(); // D1 must not know of it first
      },
      planned: (entries) => {
        changes = entries;
      },
      seen: (at) => {
        bookmark = at;
      },
    });
    if (id !== undefined) this.#store.finish(id, bookmark);
    return applied.ok ? ok({ counts: applied.value, changes }) : applied;
  }
}

/** Null: it lasts until it is lifted. No authority lives longer than its denial. */
function endOfDenial(denial: Denial, at: Instant): Instant | null {
  if (denial.kind === "token") return denial.until;
  return denial.kind === "authority" ? instant(at + authorityMillisecondsMax) : null;
}

const withKey = (row: ConsentRow, keyId: string | null): NewRow => ({
  ...row,
  keyId,
  consentKeyId: row.consentKeyId === undefined ? keyId : row.consentKeyId,
});

/** A Consent that a reading took for a patient's, or ended for one, is left as it is filed for a further patient. */
const staysFiled = (known: FiledRow, change: ConsentChange): boolean =>
  change.rows
    .filter(({ consent }) => allNames(change, consent).includes(known.consent))
    .every(
      ({ consent, subject, isActive }) =>
        change.shared?.includes(consent) === true &&
        !allNames(change, subject).includes(known.subject) &&
        (isActive || !known.mayPermit),
    ) && !change.ended.includes(known.consent);

/** The patients for whom a change files a version, by their names in deltas. */
const recordsIn = (change: ConsentChange): readonly RecordName[] =>
  change.rows.flatMap(({ origin, subject }) =>
    allNames(change, subject).map((name) => consentRecordOf({ origin, subject: name })),
  );

/** The pseudonyms of a patient or a Consent under each key of `CONSENT_KEY`. */
const allNames = ({ former }: ConsentChange, name: string): readonly string[] => [
  name,
  ...(former?.[name] ?? []),
];

const now = (): Instant => instant(Date.now());
