import { Misuse } from "../misuse.ts";
import { type Checkpoint, openCheckpoint } from "#ledger/tlog/checkpoint";
import { endOf, SWITCH_SLACK_MS } from "#ledger/log-name";
import type { LogReader } from "#ledger/ports";
import { type LockRule, lockOf, rulesOnCheckpoints, SIX_YEARS_DAYS } from "#ledger/retention";
import { mayBeDeleted, ROOT_LOG, RootLeaves } from "#ledger/root-log";
import type { Verifier } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { timeOf } from "../records/event-filter.ts";
import { logOfVerifier } from "#ledger/log-of-verifier";
import { givenKeys } from "../log/ledger-keys.ts";
import { sentence } from "#auditing/sentence";
import { keysWithRoot, rootKeyOf } from "#auditing/ledger-root";
import { printable } from "../printable.ts";
import { readerAt } from "../log/reader-at.ts";
import { readLocks } from "../log/lock-rules.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

interface LogRetention {
  readonly log: string;
  readonly lock?: string;
  /** The day from which the whole log may be deleted. */
  readonly removable?: string;
  /** Size of its last checkpoint in the root log. */
  readonly rootLeaves?: number;
  readonly wrong?: string;
  readonly notes: readonly string[];
}

/**
 * Reports for each log: the bucket's lock keeps it for six years, the day from which it may be deleted, and
 * that its final checkpoint stays in the root log. Returns 1 when a part is missing. The form of the API's
 * answer comes from its documentation; it was never run against Cloudflare.
 */
export async function ledgerRetention(args: readonly string[]): Promise<number> {
  const single = { type: "string" } as const;
  const many = { type: "string", multiple: true, default: [] as string[] } as const;
  const options = {
    "token-file": single,
    ledger: single,
    "log-key": many,
    keys: many,
    at: single,
  } as const;
  const { values, positionals } = readCall(args, options);
  const [named, ...more] = positionals;
  if (named === undefined || more.length > 0)
    throw new Misuse("name a file of lock rules, or the URL of the API that returns them, and nothing more");
  const given = givenKeys(values["log-key"], values.keys);
  const ledger = values.ledger ?? given?.url;
  if (given === undefined || ledger === undefined)
    throw new Misuse("give the logs' public keys (--log-key or --keys) and the ledger (--ledger)");
  const rules = await readLocks(named, values["token-file"]);
  const now = values.at === undefined ? Date.now() : timeOf(values.at, "at");
  const logs = await look(given.keys, placeOf(ledger), rules, now);
  const blocked = rulesOnCheckpoints(rules).map(({ id }) => id);
  const good = blocked.length === 0 && logs.every(({ wrong }) => wrong === undefined);
  giveResult({ good, sixYearsDays: SIX_YEARS_DAYS, blocked, logs });
  for (const id of blocked)
    complain(
      printable(
        `checkpoint/: WRONG: rule ${id} locks it, but checkpoints are overwritten, ` +
          "so the ledger stops: remove the rule",
      ),
    );
  for (const log of logs) print(log);
  return good ? 0 : 1;
}

type Place = (log: string) => LogReader;
const placeOf =
  (ledger: string): Place =>
  (log) =>
    readerAt(ledger, log);

async function look(
  keys: readonly Verifier[],
  place: Place,
  rules: readonly LockRule[],
  now: number,
): Promise<readonly LogRetention[]> {
  const root = rootKeyOf(keys);
  const leaves = root && new RootLeaves(root);
  const logs = keys.filter((key) => logOfVerifier(key) !== ROOT_LOG);
  if (root === undefined || leaves === undefined) {
    return await inTurn(logs, (verifier) =>
      lookAt(verifier, place, rules, now, {
        notes: ["unknown if the root log has its checkpoint: give the root log's key"],
      }),
    );
  }
  const result = await verifyLog(place(ROOT_LOG), root, {}, leaves);
  if (!result.ok) return [{ log: ROOT_LOG, wrong: sentence(result.error), notes: [] }];
  const all = keysWithRoot(logs, root, leaves);
  return await inTurn([...all, root], (verifier) =>
    lookAt(verifier, place, rules, now, {
      kept: leaves.seen.get(logOfVerifier(verifier))?.at(-1),
      seconds: leaves.seconds,
      notes: [],
    }),
  );
}

interface ByRoot {
  readonly kept?: Checkpoint | undefined;
  /** Time of the root log's last frame; undefined without a root log. */
  readonly seconds?: number;
  readonly notes: readonly string[];
}

async function lookAt(
  verifier: Verifier,
  place: Place,
  rules: readonly LockRule[],
  now: number,
  root: ByRoot,
): Promise<LogRetention> {
  const log = logOfVerifier(verifier);
  const { rule, removable } = lockOf(verifier.name, rules);
  const about = {
    log,
    ...(rule === undefined ? {} : { lock: rule.id }),
    ...(removable === undefined ? {} : { removable: new Date(removable).toISOString().slice(0, 10) }),
    ...(root.kept === undefined ? {} : { rootLeaves: root.kept.size }),
  };
  const isOver = now > (endOf(log) ?? Infinity) + SWITCH_SLACK_MS;
  const note = await place(log).checkpoint();
  if (note === undefined) {
    const isDue = mayBeDeleted(log, root.seconds ?? now / 1000, now / 1000);
    return isDue
      ? { ...about, notes: [...root.notes, "was deleted whole"] }
      : {
          ...about,
          wrong: "its checkpoint is missing, and it is too early to delete the log",
          notes: root.notes,
        };
  }
  const wrong = isOver ? endWrong(note, verifier, root) : undefined;
  const unlocked =
    rule === undefined ? `no rule keeps all of log/${verifier.name}/ for ${SIX_YEARS_DAYS} days` : undefined;
  const notes = isOver || log === ROOT_LOG ? root.notes : [...root.notes, "still takes records"];
  return wrong === undefined && unlocked === undefined
    ? { ...about, notes }
    : { ...about, wrong: [unlocked, wrong].filter(Boolean).join("; "), notes };
}

/**
 * Once a log has ended, the root log must have its last checkpoint: nothing more remains of a deleted log.
 */
function endWrong(note: Uint8Array, verifier: Verifier, { kept, seconds }: ByRoot): string | undefined {
  const final = openCheckpoint(note, verifier);
  if (!final.ok) return `its checkpoint: ${final.error.replaceAll("_", " ")}`;
  if (seconds === undefined || final.value.size === kept?.size) return undefined;
  const inRootLog = kept === undefined ? "none" : `${kept.size} leaves`;
  return (
    `its final checkpoint of ${final.value.size} leaves is not in the root log (${inRootLog}): ` +
    "do not delete the log"
  );
}

async function inTurn<T, U>(all: readonly T[], look: (item: T) => Promise<U>): Promise<readonly U[]> {
  const found: U[] = [];
  for (const item of all) found.push(await look(item));
  return found;
}

function print({ log, lock, removable, rootLeaves, wrong, notes }: LogRetention): void {
  const words = [
    ...(lock === undefined ? [] : [`locked by ${lock}`]),
    removable === undefined ? "may never be deleted" : `may be deleted whole from ${removable}`,
    ...(rootLeaves === undefined ? [] : [`the root log has its checkpoint of ${rootLeaves} leaves`]),
    ...notes,
  ];
  if (wrong === undefined) say(printable(`${log}: ${words.join("; ")}`));
  else complain(`${log}: WRONG: ${wrong}`);
}
