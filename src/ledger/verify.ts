import { err, ok, type Result } from "#kernel/result";
import { concat, sameBytes } from "#ledger/bytes/bytes";
import { type Checkpoint, openCheckpoint } from "#ledger/tlog/checkpoint";
import { firstPrevious, type Frame, frameHash, parseFrame, splitEntries } from "#ledger/leaf/frame";
import { parseLeaf } from "#ledger/leaf/leaf";
import { beforeFirstLeaf, endFrame, follow } from "./leaf-rules.ts";
import { leafHash, rangeRoot } from "#ledger/tlog/merkle";
import type { LogReader } from "./ports.ts";
import type { Receipt } from "./receipt.ts";
import type { Verifier } from "#ledger/tlog/signed-note";
import { growTree, partialWidth, type TreeEdge, TILE_WIDTH, tilePath } from "#ledger/tlog/tile";

/**
 * A problem in a log: the object's path below the log, the leaf or frame number if it has any, and the
 * reason.
 */
export interface Finding {
  readonly object: string;
  readonly index?: number;
  readonly problem: string;
}

export interface Verified {
  readonly size: number;
  readonly frames: number;
  readonly root: Uint8Array;
}

/** Evidence from outside that the log must agree with. */
export interface Claims {
  readonly since?: readonly Checkpoint[]; // earlier checkpoints, their signatures already checked
  readonly receipts?: readonly Receipt[];
}

/**
 * The rules for the leaves of a log, applied to each leaf and after each frame. They return a problem, or
 * undefined.
 */
export interface LeafRules {
  leaf(bytes: Uint8Array): string | undefined;
  frameEnd(seconds: number): string | undefined;
}

/** The rules of a log of records (docs/ledger-format.md §3). */
function recordRules(origin: string): LeafRules {
  let order = beforeFirstLeaf;
  return {
    leaf(bytes) {
      const leaf = parseLeaf(bytes);
      const next = leaf.ok ? follow(order, leaf.value, origin) : leaf;
      if (!next.ok) return next.error;
      order = next.value;
      return undefined;
    },
    frameEnd(seconds) {
      const end = endFrame(order, seconds, origin);
      if (!end.ok) return end.error;
      order = end.value;
      return undefined;
    },
  };
}

/**
 * Reads a whole log with only its public key and checks everything that can be checked without opening a
 * leaf (docs/ledger-format.md, "What a verifier checks"). A single bundle and a single frame are in memory
 * at a time. The first finding ends the check. Throws only the reader's errors.
 */
export async function verifyLog(
  reader: LogReader,
  verifier: Verifier,
  claims: Claims = {},
  rules: LeafRules = recordRules(verifier.name),
): Promise<Result<Verified, Finding>> {
  const note = await reader.checkpoint();
  if (note === undefined) return err({ object: "checkpoint", problem: "is missing" });
  const checkpoint = openCheckpoint(note, verifier);
  if (!checkpoint.ok) return err({ object: "checkpoint", problem: checkpoint.error });
  const beyond = beyondCheckpoint(checkpoint.value, claims);
  if (beyond !== undefined) return err(beyond);

  const walk = new Walk(reader, checkpoint.value, claims, rules);
  const last = checkpoint.value.frame?.number ?? -1;
  for (let number = 0; number <= last; number++) {
    const finding = await walk.frame(number);
    if (finding !== undefined) return err(finding);
  }
  const finding = await walk.end();
  return finding === undefined
    ? ok({ size: checkpoint.value.size, frames: last + 1, root: checkpoint.value.root })
    : err(finding);
}

/** A log that is shorter than an earlier checkpoint or receipt shows has been cut. */
function beyondCheckpoint(
  checkpoint: Checkpoint,
  { since = [], receipts = [] }: Claims,
): Finding | undefined {
  const missing = missingLeaves(checkpoint.size, [
    ...since.map(({ size }) => size),
    ...receipts.map(({ index }) => index + 1),
  ]);
  // Frames are compared too: a log that was cut and grown again in larger commits could be longer and yet
  // lack the frame of the earlier checkpoint.
  const earlier = since.find(
    ({ size, frame }) => size > checkpoint.size || (frame?.number ?? -1) > (checkpoint.frame?.number ?? -1),
  );
  if (earlier !== undefined)
    return {
      object: "checkpoint",
      index: checkpoint.size,
      problem: `is behind an earlier checkpoint of size ${earlier.size}${missing}`,
    };
  const receipt = receipts.find(({ index }) => index >= checkpoint.size);
  return (
    receipt && {
      object: "checkpoint",
      index: checkpoint.size,
      problem: `does not reach the receipt for leaf ${receipt.index}${missing}`,
    }
  );
}

/** The range of leaves that checkpoints and receipts know and the log lacks, in words; empty if there is none. */
function missingLeaves(size: number, known: readonly number[]): string {
  const end = known.reduce((most, each) => Math.max(most, each), 0);
  if (end <= size) return "";
  return end === size + 1 ? `: leaf ${size} is missing` : `: leaves ${size} to ${end - 1} are missing`;
}

/** A pass over the frames of a log, together with its entries and tiles. */
class Walk {
  readonly #reader: LogReader;
  readonly #checkpoint: Checkpoint;
  readonly #rules: LeafRules;
  // earlier checkpoints by their frame: a root log has thousands
  readonly #since: ReadonlyMap<number, readonly Checkpoint[]>;
  readonly #receipts: ReadonlyMap<number, readonly Receipt[]>;
  #size = 0;
  #tree: TreeEdge = { range: [], edge: [] };
  #previous: Pick<Frame, "seconds"> & { readonly hash: Uint8Array } = { seconds: 0, hash: firstPrevious };
  #bundle: readonly Uint8Array[] = [];

  constructor(reader: LogReader, checkpoint: Checkpoint, claims: Claims, rules: LeafRules) {
    this.#reader = reader;
    this.#checkpoint = checkpoint;
    this.#receipts = Map.groupBy(claims.receipts ?? [], ({ index }) => index);
    this.#rules = rules;
    this.#since = Map.groupBy(claims.since ?? [], ({ frame }) => frame?.number ?? -1);
  }

  /** Checks the next frame and the leaves, bundles and tiles that it finishes. */
  async frame(number: number): Promise<Finding | undefined> {
    const wrong = (problem: string): Finding => ({ object: `frame/${number}`, index: number, problem });
    const bytes = await this.#reader.frame(number);
    if (bytes === undefined) return wrong("is missing");
    const parsed = parseFrame(bytes);
    if (!parsed.ok) return wrong(parsed.error);
    const frame = parsed.value;
    if (frame.origin !== this.#checkpoint.origin) return wrong("frame_of_another_log");
    if (frame.number !== number) return wrong("frame_number");
    if (!sameBytes(frame.previous, this.#previous.hash))
      return wrong("frame_does_not_link_to_the_one_before");
    if (frame.first !== this.#size) return wrong("frame_first_index");
    if (frame.size > this.#checkpoint.size) return wrong("frame_beyond_checkpoint");
    if (frame.seconds < this.#previous.seconds) return wrong("frame_time_runs_backwards");

    const hash = frameHash(bytes);
    for (let done = 0; done < frame.leaves.length;) {
      const leaves = frame.leaves.slice(done, done + TILE_WIDTH - (this.#size % TILE_WIDTH));
      const finding = await this.#leaves(leaves, hash, wrong);
      if (finding !== undefined) return finding;
      done += leaves.length;
    }
    const end = this.#rules.frameEnd(frame.seconds);
    if (end !== undefined) return wrong(end);
    if (!sameBytes(concat(frame.range), concat(this.#tree.range))) return wrong("frame_compact_range");
    this.#previous = { seconds: frame.seconds, hash };
    const earlier = this.#since.get(number) ?? [];
    return earlier.every((checkpoint) => this.#isHere(checkpoint))
      ? undefined
      : wrong("does_not_extend_an_earlier_checkpoint");
  }

  /** Checks the end of the log: root, last frame, and the tiles that are not full. */
  async end(): Promise<Finding | undefined> {
    const { size, root, frame } = this.#checkpoint;
    if (this.#size !== size)
      return { object: "checkpoint", index: size, problem: "size_is_not_that_of_its_frame" };
    if (!sameBytes(rangeRoot(this.#tree.range), root))
      return { object: "checkpoint", index: size, problem: "root_is_not_that_of_the_leaves" };
    if (frame !== undefined && !sameBytes(frame.hash, this.#previous.hash)) {
      return { object: "checkpoint", index: size, problem: "frame_line_is_not_the_last_frame" };
    }
    for (const [level, hashes] of this.#tree.edge.entries()) {
      if (hashes.length === 0) continue;
      const finding = await this.#tile(
        level,
        Math.floor(size / TILE_WIDTH ** (level + 1)),
        hashes.length,
        concat(hashes),
      );
      if (finding !== undefined) return finding;
    }
    return undefined;
  }

  /** Checks the next leaves, all of one bundle. */
  async #leaves(
    leaves: readonly Uint8Array[],
    frame: Uint8Array,
    wrongFrame: (problem: string) => Finding,
  ): Promise<Finding | undefined> {
    const first = this.#size;
    const number = Math.floor(first / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, this.#checkpoint.size - number * TILE_WIDTH);
    const object = `tile/entries/${tilePath(number, width)}`;
    if (first % TILE_WIDTH === 0) {
      const bundle = await this.#reader.entries(number, width);
      if (bundle === undefined) return { object, index: first, problem: "is missing" };
      const entries = splitEntries(bundle);
      if (entries?.length !== width) return { object, index: first, problem: "entries_count" };
      this.#bundle = entries;
    }
    const hashes: Uint8Array[] = [];
    for (const leaf of leaves) {
      const index = first + hashes.length;
      const hash = leafHash(leaf);
      const entry = this.#bundle[index % TILE_WIDTH];
      // The tile shows which of the two was changed.
      if (entry === undefined || !sameBytes(entry, leaf)) return this.#blame(index, hash, object, wrongFrame);
      const broken = this.#rules.leaf(leaf);
      if (broken !== undefined) return { object, index, problem: broken };
      const isAsReceived = this.#receipts
        .get(index)
        ?.every((receipt) => sameBytes(receipt.leafHash, hash) && sameBytes(receipt.frameHash, frame));
      if (isAsReceived === false) return { object, index, problem: "is_not_what_the_receipt_says" };
      hashes.push(hash);
    }
    const grown = growTree(this.#tree, first, hashes);
    this.#tree = grown;
    this.#size = first + leaves.length;
    for (const tile of grown.full) {
      const finding = await this.#tile(tile.level, tile.index, TILE_WIDTH, tile.hashes);
      if (finding !== undefined) return finding;
    }
    return undefined;
  }

  async #tile(
    level: number,
    index: number,
    width: number,
    expected: Uint8Array,
  ): Promise<Finding | undefined> {
    const object = `tile/${level}/${tilePath(index, width)}`;
    const bytes = await this.#reader.tile(level, index, width);
    if (bytes === undefined) return { object, problem: "is missing" };
    return sameBytes(bytes, expected) ? undefined : { object, problem: "tile_is_not_what_the_leaves_give" };
  }

  async #blame(
    index: number,
    inFrame: Uint8Array,
    bundle: string,
    wrongFrame: (problem: string) => Finding,
  ): Promise<Finding> {
    const tileIndex = Math.floor(index / TILE_WIDTH);
    const full = (tileIndex + 1) * TILE_WIDTH <= this.#checkpoint.size;
    const tile = await this.#reader.tile(
      0,
      tileIndex,
      full ? TILE_WIDTH : partialWidth(0, this.#checkpoint.size),
    );
    const at = (index % TILE_WIDTH) * 32;
    const frameIsRight = tile !== undefined && sameBytes(tile.subarray(at, at + 32), inFrame);
    return frameIsRight
      ? { object: bundle, index, problem: "entry_is_not_the_leaf_of_its_frame" }
      : wrongFrame(`leaf ${index} is not the entry in the log`);
  }

  /** True when an earlier checkpoint states exactly the log's present state after the frame just read. */
  #isHere(earlier: Checkpoint): boolean {
    const sameFrame = earlier.frame !== undefined && sameBytes(earlier.frame.hash, this.#previous.hash);
    return sameFrame && earlier.size === this.#size && sameBytes(rangeRoot(this.#tree.range), earlier.root);
  }
}
