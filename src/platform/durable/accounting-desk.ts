import type { AuditEvent } from "#audit/event";
import { heldBack, type Hold, readHold, type HoldProblem } from "#audit/accounting-hold";
import { readLine, subjectKey } from "#audit/accounting";
import type { Disclosures, FoundLine, LinesAsked } from "#audit/disclosures";
import { instant, type Clock } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import { splitEntries } from "#ledger/frame";
import { openLogs } from "#ledger/log-name";
import { TILE_WIDTH } from "#ledger/tile";
import { type AccountingShelf, shelfOf, type ShelvedLine } from "./accounting-shelf.ts";
import { readLedgerConfig, type LedgerConfig, type LedgerEnv } from "./ledger-config.ts";
import type { LedgerShard } from "./ledger-shard.ts";
import { OwnCalls } from "./ledger-own-calls.ts";
import { ledgerSink } from "./ledger-sink.ts";

type DeskEnv = LedgerEnv & {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf>;
};

type Proven = NonNullable<FoundLine["proven"]>;

const PATIENTS_MAX = 32; // ids of one individual
const LINES_MAX = 2_000; // with their proofs about 3 MB
const CHECKPOINT_MS = 1_050; // one is signed each second at most
const CALLS_AT_ONCE = 6; // connections that a Worker may have open at a time
// Beyond every step that a door takes for one request, whose id the record of a look-up has.
const STEP = 1_000_000;
// A log that closed this long ago may have lines yet: it takes none any more, and drains within two minutes unless shelves are down.
const CLOSED_MS = 86_400_000;

/** Reads patients' accounting lines from their shelves and from whatever shards have not brought there yet, on record. */
export class AccountingDesk implements Disclosures {
  readonly #env: DeskEnv;
  readonly #config: LedgerConfig;
  readonly #clock: Clock;

  constructor(env: DeskEnv, clock: Clock) {
    this.#env = env;
    this.#config = readLedgerConfig(env);
    this.#clock = clock;
  }

  async linesOf({ patients, from, to, toldTo, caller }: LinesAsked): Promise<readonly FoundLine[] | "too_many"> {
    if (patients.length === 0 || patients.length > PATIENTS_MAX) throw new RangeError("accounting: of 1 to 32 patients");
    const { shards } = this.#config;
    const sink = ledgerSink(this.#env.LEDGER_SHARD, shards, this.#clock);
    await sink.record([lookUp(patients, caller)], { kind: "client", client: caller.who?.client ?? "", requestId: caller.id, spread: 1 });
    const subjects = patients.map((patient) => ({ patient, subject: subjectKey(this.#config.subjectKey, patient) }));
    await this.#bringLines(new Set(subjects.map(({ subject }) => shelfOf(subject))));
    const held = await this.#heldBack(subjects.map(({ subject }) => subject));
    const untold = toldTo === "individual" ? [...held.keys()] : [];
    const found: { readonly patient: string; readonly line: ShelvedLine }[] = [];
    for (const { patient, subject } of subjects) {
      const lines: readonly ShelvedLine[] = await this.#shelf(subject).linesOf(subject, from, to, LINES_MAX, untold);
      found.push(...lines.map((line) => ({ patient, line })));
    }
    if (found.length > LINES_MAX) return "too_many";
    const proofs = await this.#proofsOf(found.map(({ line }) => line));
    return found.map(({ patient, line: { log, index, line, lines, content, salt, path } }) => {
      const proven = proofs.get(`${log}/${index}`);
      return { patient, log, index, line, lines, content, salt, path, proven, heldUntil: held.get(readLine(content)?.recipient ?? "") };
    });
  }

  /** Keeps a suspension. The operators' door has it on record before. */
  async hold(input: unknown): Promise<Result<void, HoldProblem>> {
    const asked = readHold(input);
    if (!asked.ok) return asked;
    const subject = subjectKey(this.#config.subjectKey, asked.value.patient);
    await this.#shelf(subject).hold(subject, asked.value.hold);
    return ok(undefined);
  }

  /** One shard that cannot be asked may have lines that nobody else has: then there is no answer. */
  async #bringLines(shelves: ReadonlySet<string>): Promise<void> {
    const now = this.#clock();
    const { shards, accountingKey } = this.#config;
    const ownCalls = new OwnCalls(accountingKey);
    const logs = new Set([...openLogs(shards, now), ...openLogs(shards, instant(now - CLOSED_MS))]);
    await inTurns([...logs], async (log) => {
      await this.#env.LEDGER_SHARD.getByName(log).ownCall(ownCalls.seal(log, { kind: "shelve", shelves: [...shelves] }));
    });
  }

  /** What is suspended for one record counts for each that the origin united with it: it is one individual who is told. */
  async #heldBack(subjects: readonly Uint8Array[]): Promise<ReadonlyMap<string, number>> {
    const holds: Hold[] = [];
    for (const subject of subjects) holds.push(...(await this.#shelf(subject).holdsOf(subject)));
    return heldBack(holds, this.#clock());
  }

  #shelf(subject: Uint8Array): DurableObjectStub<AccountingShelf> {
    return this.#env.ACCOUNTING_SHELF.getByName(shelfOf(subject));
  }

  /** By `log/index`. A leaf that no checkpoint reaches yet is asked for once more when the next one may be signed. */
  async #proofsOf(lines: readonly ShelvedLine[]): Promise<ReadonlyMap<string, Proven>> {
    const proofs = new Map<string, Proven>();
    await this.#addProofs(proofs, lines);
    const late = lines.filter(({ log, index }) => !proofs.has(`${log}/${index}`));
    if (late.length === 0) return proofs;
    await scheduler.wait(CHECKPOINT_MS);
    await this.#addProofs(proofs, late);
    return proofs;
  }

  /** The leaves and their proofs, as anyone could fetch them. What cannot be had now is left out. */
  async #addProofs(proofs: Map<string, Proven>, lines: readonly ShelvedLine[]): Promise<void> {
    const bundles = new Map<string, { readonly log: string; readonly number: number; readonly indexes: Set<number> }>();
    for (const { log, index } of lines) {
      const number = Math.floor(index / TILE_WIDTH);
      const bundle = bundles.get(`${log}/${number}`) ?? { log, number, indexes: new Set<number>() };
      bundles.set(`${log}/${number}`, bundle);
      bundle.indexes.add(index);
    }
    await inTurns([...bundles.values()], async ({ log, number, indexes }) => {
      const shard = this.#env.LEDGER_SHARD.getByName(log);
      const width = (Math.max(...indexes) % TILE_WIDTH) + 1;
      const bytes = await shard.entries(number, width).catch(() => undefined);
      const leaves = (bytes && splitEntries(bytes)) ?? [];
      const notes = await shard.proofs([...indexes]).catch(() => []);
      for (const [i, index] of [...indexes].entries()) {
        const [leaf, note] = [leaves[index % TILE_WIDTH], notes[i]];
        if (leaf !== undefined && note !== undefined) proofs.set(`${log}/${index}`, { leaf, note });
      }
    });
  }
}

function lookUp(patients: readonly string[], { id, at, who, from, why, traceId }: LinesAsked["caller"]): AuditEvent {
  const [origin, type, patient] = (patients[0] ?? "").split("/");
  const named = patients.map((one) => ({ patient: one, counts: {} }));
  const what = { interaction: "linesOf", origin, type, id: patient };
  return { id, step: STEP, at, kind: "accounting", who, from, what, why, patients: named, unnamed: [], counts: {}, traceId };
}

async function inTurns<T>(all: readonly T[], each: (one: T) => Promise<void>): Promise<void> {
  for (let at = 0; at < all.length; at += CALLS_AT_ONCE) await Promise.all(all.slice(at, at + CALLS_AT_ONCE).map(each));
}
