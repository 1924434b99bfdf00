import type { AuditEvent } from "#audit/event";
import type { IsolateNumbers } from "#audit/traffic/isolate-numbers";
import { isolateText } from "#audit/traffic/isolate-text";
import type { Traffic } from "#audit/traffic/instruments";
import { createHash } from "node:crypto";
import type { Counted, DefinitionMissing, ProofSink, ProofUse, Recorded, Replayed } from "#audit/ports";
import { eventsText, isRefusedStart, readAnswerText, type SentAnswer } from "#platform/ledger/append-text";
import { ConfirmedDefinitions, withNames } from "./definitions.ts";
import type { Clock, Instant } from "#kernel/clock";
import { memo } from "#kernel/memo";
import { keyLayout, type LedgerLayout, shardsIn } from "#ledger/layout";
import { halfYearOf, logName, parseLogName } from "#ledger/log-name";
import { earlierLog } from "#ledger/predecessor";
import { chooseLog, otherLogs, type Sender } from "#ledger/shard-choice";
import type { StubOf } from "./stubs.ts";
import { inTime } from "#platform/deadlines";
import { LateAnswer } from "#platform/within";
import { log } from "#platform/log";

const TRIES = 3;
// A log that did not answer in time is asked once more, never a different log in its place: the first append may be
// on record, and only its own log knows the repeat.
const TIMEOUTS = 2;
const REPORTED_EVERY_MS = 60_000;
// A used proof is remembered for 130 s, and may be used from 10 s before its time (identity/proof), so it is
// forgotten at 120 s at the earliest. A proof older than 100 s could be a second use, by an attacker who
// kept a request open that long. The remaining 20 s allow for three tries and for clocks.
const PROOF_MS = 100_000;
// A client's new home region is known everywhere 10 s after it was written, and a proof may be made 10 s after
// the clock of the gateway that takes it. The remaining 10 s allow for clocks.
const MOVED_MS = 30_000;

/**
 * The logs of a half-year that take configurations: the first log, which knows the recent configurations,
 * and the next shard's log while the first fails. So no single object keeps all new isolates from serving.
 */
export function configurationLogs(layout: LedgerLayout, at: Instant): readonly string[] {
  const first = chooseLog({ kind: "address", address: "" }, layout, at);
  const { shard, halfYear } = parseLogName(first) ?? { shard: 0, halfYear: halfYearOf(at) };
  return [...new Set([first, logName({ shard: (shard + 1) % shardsIn(layout, halfYear), halfYear })])];
}

/** Does the work in the first log where it succeeds. Throws the last log's error. */
async function inFirst<T>(logs: readonly string[], act: (log: string) => Promise<T>): Promise<T> {
  for (const name of logs.slice(0, -1)) {
    try {
      return await act(name);
    } catch {
      log({ event: "ledger_configuration_elsewhere", log: name });
    }
  }
  return act(logs.at(-1) ?? "");
}

/** The log that records its own configuration: a Durable Object does not call itself. */
export interface OwnLog {
  readonly log: string;
  readonly append: (events: readonly AuditEvent[]) => Promise<Answer | DefinitionMissing>;
}

/**
 * The Durable Object that appends to a log of the ledger: events and answer as text
 * (platform/ledger/append-text).
 */
export interface AppendingLog {
  appendText(
    events: string,
    proofHash?: string,
    contents?: readonly Uint8Array[],
    earlierLog?: string,
    chosenBy?: string,
    numbers?: string,
  ): Promise<string>;
}

type Answer = Recorded | Counted | Replayed;

/**
 * The ledger over its Durable Objects, with a call for each append. A broken object is asked again, an
 * overloaded object never. A record whose log refuses goes to a different log, unless it uses a proof up. Lists of
 * withheld paths go by their digests; their content comes along unless the log took it within the last ten seconds.
 * The isolate's numbers go with the first try alone, so that no number counts twice.
 */
export function ledgerSink(
  logOf: StubOf<AppendingLog>,
  layout: LedgerLayout,
  clock: Clock,
  { own, numbers }: { readonly own?: OwnLog; readonly numbers?: IsolateNumbers } = {},
): ProofSink {
  const confirmed = new ConfirmedDefinitions();
  // A day after a switch of half-years two are in use.
  const layoutOf = memo(2, (halfYear) => keyLayout(layout, halfYear));
  const chosenBy = (...logs: readonly (string | undefined)[]) =>
    logs
      .flatMap((name) => (name === undefined ? [] : layoutOf(name.slice(name.indexOf("-") + 1))))
      .join("; ");
  const reported = new Map<string, Instant>(); // an entry for each log
  const reportRefusal = (name: string) => {
    const now = clock();
    if (Math.abs(now - (reported.get(name) ?? -Infinity)) < REPORTED_EVERY_MS) return;
    reported.set(name, now);
    log({ event: "ledger_log_refuses", log: name });
  };
  /** "refused": the log recorded nothing of this append. */
  const appendTo = async (
    log: string,
    input: readonly AuditEvent[],
    proof?: string,
    earlier?: string,
  ): Promise<Answer | "refused"> => {
    const { events, definitions } = withNames(input);
    if (log === own?.log) return answered(await own.append(events), log);
    let toSend = confirmed.unconfirmed(log, definitions, clock());
    const text = eventsText(events);
    const layouts = proof === undefined ? undefined : chosenBy(log, earlier);
    // A new stub each time: a stub whose object was reset stays broken. A repeated (id, step) is recorded only
    // once.
    const send = (more?: Traffic) => {
      const sent = toSend.length === 0 ? undefined : toSend;
      return inTime("ledger", () =>
        logOf(log).appendText(text, proof, sent, earlier, layouts, more && isolateText(more)),
      );
    };
    const contents = () => Array.from(definitions.values(), ({ content }) => content);
    let timeouts = 0;
    for (let attempt = 1; ; attempt++) {
      const more = attempt === 1 ? numbers?.take(clock()) : undefined;
      try {
        let answer = readAnswerText(await send(more));
        if (more !== undefined && typeof answer === "string") numbers?.putBack(more);
        if (answer === "definition missing" && toSend.length < definitions.size) {
          toSend = contents(); // the object lost its memory since it confirmed them
          answer = readAnswerText(await send());
        }
        if (typeof answer !== "string") confirmed.confirm(log, definitions, clock());
        if (answer !== "refused") return answered(answer, log);
        reportRefusal(log);
        // An earlier try may be on record.
        if (attempt === 1) return "refused";
        throw new Error("ledger: the log refuses after an unknown result");
      } catch (fault) {
        if (attempt === 1 && isRefusedStart(fault)) {
          reportRefusal(log);
          return "refused";
        }
        const isLate = fault instanceof LateAnswer;
        if (isLate) timeouts += 1;
        if (attempt === TRIES || timeouts === TIMEOUTS || !(isLate || mayBeTriedAgain(fault))) throw fault;
        toSend = contents();
      }
    }
  };
  const taken = (answer: Answer | "refused"): Answer => {
    if (answer === "refused") throw new Error("ledger: the log refuses");
    return answer;
  };
  /** The time of an append with all its tries. */
  const timed = async <T>(append: () => Promise<T>): Promise<T> => {
    const since = clock();
    let milliseconds: number | undefined;
    try {
      const answer = await append();
      milliseconds = clock() - since;
      return answer;
    } finally {
      numbers?.appended(milliseconds);
    }
  };
  const appendFor = async (events: readonly AuditEvent[], sender: Sender): Promise<Answer> => {
    const now = clock();
    const first = await appendTo(chooseLog(sender, layout, now), events);
    if (first !== "refused") return first;
    for (const log of otherLogs(sender, layout, now)) {
      const answer = await appendTo(log, events);
      if (answer !== "refused") return answer;
    }
    return taken("refused");
  };
  return {
    async record(events, sender) {
      const answer = await timed(() =>
        sender.kind === "worker"
          ? inFirst(configurationLogs(layout, clock()), async (log) => taken(await appendTo(log, events)))
          : appendFor(events, sender),
      );
      if (answer === "replayed") throw new Error("ledger: replayed without a proof");
      return answer;
    },
    async recordOnce(events, proof) {
      if (clock() - proof.made > PROOF_MS || mayBeUsedElsewhere(proof)) return "replayed";
      const sender = { kind: "key", jkt: proof.jkt, home: proof.home?.region } as const;
      const now = clock();
      const log = chooseLog(sender, layout, now);
      const earlier = earlierLog(sender, layout, now);
      const answer = await timed(async () => taken(await appendTo(log, events, hashOf(proof), earlier)));
      if (answer === "counted") throw new Error(`ledger: ${answer} with a proof`);
      return answer;
    },
  };
}

/**
 * True for a proof of a time in which some gateway may have sent it to the client's earlier region. No proof
 * is taken by both regions, however its client moves.
 */
const mayBeUsedElsewhere = ({ made, home }: ProofUse): boolean =>
  home?.since !== undefined && made <= home.since + MOVED_MS;

function answered(answer: SentAnswer, name: string): Answer {
  if (answer === "refused") throw new Error("ledger: the log refuses");
  if (answer === "layout differs") {
    log({ event: "ledger_layout_differs", log: name });
    throw new Error("configuration: LEDGER_REGIONS or LEDGER_SHARDS differs from the ledger's");
  }
  if (answer === "definition missing") throw new Error("ledger: a definition is missing that was sent");
  return answer;
}

/** No `jkt` has a dot in it, so two proofs never share a text. */
function hashOf({ jkt, id }: ProofUse): string {
  return createHash("sha256").update(`${jkt}.${id}`).digest("base64url");
}

/**
 * True when Durable Objects allow a retry after this fault (docs:
 * durable-objects/best-practices/error-handling).
 */
function mayBeTriedAgain(fault: unknown): boolean {
  if (!(fault instanceof Error)) return false;
  const error = fault as Error & {
    readonly retryable?: boolean;
    readonly overloaded?: boolean;
    readonly durableObjectReset?: boolean;
  }; // workerd sets them
  return error.overloaded !== true && (error.retryable === true || error.durableObjectReset === true);
}
