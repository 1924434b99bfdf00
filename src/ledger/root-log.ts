import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { type Checkpoint, type CheckpointProblem, openCheckpoint } from "#ledger/tlog/checkpoint";
import { logOfVerifier } from "./log-of-verifier.ts";
import { endOf, parseLogName } from "./log-name.ts";
import { readNote, type Verifier, verifierOfKeys } from "#ledger/tlog/signed-note";
import type { LeafRules } from "./verify.ts";
import { claimedOrigin } from "#ledger/tlog/witness";

/** The log of a ledger's checkpoints. Its origin line is `<ledger name>/root`. */
export const ROOT_LOG = "root";

/** The verifier of a log of the same ledger. One key pair signs all logs, each under its own name. */
export function siblingOf({ name, publicKey, further }: Verifier, log: string): Verifier {
  return verifierOfKeys(`${name.slice(0, name.lastIndexOf("/"))}/${log}`, publicKey, further);
}

/**
 * Reads an earlier checkpoint, which the log must have in its past. A key that ended counts: for the root log's
 * checkpoints up to the size at which it ended.
 */
export function openEarlierCheckpoint(
  note: Uint8Array,
  verifier: Verifier,
): Result<Checkpoint, CheckpointProblem> {
  const opened = openCheckpoint(note, verifier, 0);
  return opened.ok && logOfVerifier(verifier) === ROOT_LOG && opened.value.size > 0
    ? openCheckpoint(note, verifier, opened.value.size - 1)
    : opened;
}

type RootLeafProblem = "root_leaf_of_no_log" | "root_leaf_not_one_signature" | CheckpointProblem;

/**
 * Reads a leaf of a root log: a checkpoint of a log of the same ledger with exactly one signature line, the
 * log's own.
 *
 * @param index of the leaf: a key that ended signs no leaf from its end on.
 */
export function readRootLeaf(
  leaf: Uint8Array,
  root: Verifier,
  index: number,
): Result<{ readonly log: string; readonly checkpoint: Checkpoint }, RootLeafProblem> {
  const origin = claimedOrigin(leaf) ?? "";
  const log = origin.slice(origin.lastIndexOf("/") + 1);
  const verifier = siblingOf(root, log);
  if (verifier.name !== origin || parseLogName(log) === undefined) return err("root_leaf_of_no_log");
  const note = readNote(leaf);
  if (note.ok && note.value.signatures.length !== 1) return err("root_leaf_not_one_signature");
  const checkpoint = openCheckpoint(leaf, verifier, index);
  return checkpoint.ok ? ok({ log, checkpoint: checkpoint.value }) : checkpoint;
}

/**
 * The rules of a root log's leaves (docs/ledger-format.md §12). Each log begins with its checkpoint of size
 * 0, once; each later checkpoint has more leaves and more frames. The verifier of each log checks that it
 * agrees with its checkpoints in `seen`.
 */
export class RootLeaves implements LeafRules {
  readonly #root: Verifier;
  readonly #seen = new Map<string, Checkpoint[]>();
  #seconds = 0;
  #size = 0;

  constructor(root: Verifier) {
    this.#root = root;
  }

  /** Every checkpoint of each log, oldest first. */
  get seen(): ReadonlyMap<string, readonly Checkpoint[]> {
    return this.#seen;
  }

  /** The time of the last frame, in seconds since 1970. */
  get seconds(): number {
    return this.#seconds;
  }

  leaf(bytes: Uint8Array): string | undefined {
    const read = readRootLeaf(bytes, this.#root, this.#size++);
    if (!read.ok) return read.error;
    const { log, checkpoint } = read.value;
    const all = this.#seen.get(log);
    const last = all?.at(-1);
    if (last === undefined && checkpoint.size > 0) return "root_leaf_of_a_log_that_was_not_opened";
    const grows = last === undefined || (checkpoint.size > last.size && frameOf(checkpoint) > frameOf(last));
    if (!grows) return "root_leaf_does_not_grow";
    if (all === undefined) this.#seen.set(log, [checkpoint]);
    else all.push(checkpoint);
    return undefined;
  }

  frameEnd(seconds: number): undefined {
    this.#seconds = seconds;
    return undefined;
  }
}

const RETENTION_YEARS = 6; // 45 CFR 164.316(b)(2)(i), 164.528(a)

/**
 * The end of a log's retention (ms since 1970): six years after the end of its half-year. Undefined for a
 * log without an end.
 */
export function retainedUntil(log: string): Instant | undefined {
  const end = endOf(log);
  return end === undefined
    ? undefined
    : instant(new Date(end).setUTCFullYear(new Date(end).getUTCFullYear() + RETENTION_YEARS));
}

/**
 * True when a log of this name may have been deleted whole. Its half-year ended six years before the root
 * log's last frame, and before the reader's own time (seconds since 1970): the owner of the checkpoint key
 * can write any time into a frame.
 */
export const mayBeDeleted = (log: string, rootSeconds: number, nowSeconds: number): boolean =>
  (retainedUntil(log) ?? Infinity) <= Math.min(rootSeconds, nowSeconds) * 1000;

const frameOf = ({ frame }: Checkpoint): number => frame?.number ?? -1;
