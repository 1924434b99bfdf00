import { largest } from "#kernel/largest";
import { instant } from "#kernel/clock";
import { sameBytes } from "#ledger/bytes/bytes";
import { checkpointOf, commit, type Commit, type Head } from "#ledger/commit";
import { checkpointKey, objectKey } from "#ledger/flush";
import { splitFrames } from "#ledger/frame-copies";
import { parseFrame } from "#ledger/leaf/frame";
import { type Checkpoint, checkpointText, openCheckpoint } from "#ledger/tlog/checkpoint";
import { RECENT_MS } from "#platform/ledger/object/append/recent";
import { signerOf } from "#platform/ledger/config";
import { restoreHead } from "#platform/ledger/object/log/stored-log";
import { FlushRows } from "./flush-rows.ts";
import { hasTable } from "#platform/ask-sql";
import type { CopyParts } from "./copy.ts";

// A call rebuilds at least an object of the copy (up to 8 MiB), and ends after this many bytes.
const STEP_BYTES = 8_388_608;
// Frames after the published checkpoint are stored in one transaction, so they must fit into the memory.
const ROOTED_BYTES = 4 * STEP_BYTES;

const schema = `
  CREATE TABLE IF NOT EXISTS rebuilt (id INTEGER PRIMARY KEY CHECK (id = 1), stand_in TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS rebuilt_since (id INTEGER PRIMARY KEY CHECK (id = 1), lost_by INTEGER NOT NULL) STRICT;
`;

type RebuildParts = Omit<CopyParts, "head"> & { readonly origin: string };

/**
 * A log whose storage was lost, made again from its copy in R2. The log shows the leaves of the copy and never adds a
 * leaf: receipts name leaves that the copy lacks, and a second leaf at such an index would be a second history
 * (P5). Its stand-in takes the further records.
 */
export class LedgerRebuild {
  readonly #parts: RebuildParts;
  readonly #startedAt = Date.now();
  #isRebuilt = false;
  #standIn: string | undefined;
  #lostBy: number | undefined; // a time when the storage was lost already

  constructor(parts: RebuildParts) {
    this.#parts = parts;
    this.#load();
  }

  /** True from the first step on, for good. */
  get isRebuilt(): boolean {
    return this.#isRebuilt;
  }

  /** The log that takes its records; undefined for a log that is not rebuilt or whose half-year was over. */
  get standIn(): string | undefined {
    return this.#standIn;
  }

  /**
   * Throws while a proof that the lost storage remembered could still be used: the stand-in does not know the
   * proof. An object that started without rows took no proof since.
   */
  checkLostProofs(): void {
    if (this.#lostBy !== undefined && Date.now() < this.#lostBy + RECENT_MS)
      throw new Error(
        "ledger: the used proofs of this log were lost: proofs are taken again after 130 seconds",
      );
  }

  /**
   * Stores frames of the copy as rows. True when all frames up to the published checkpoint are rows, and the
   * frames up to a later checkpoint in the root log (`rooted`) if the copy has them. Throws when the copy
   * cannot be read, and when its frames do not make the trees that these checkpoints name.
   */
  async step(standIn: string | undefined, rooted: Checkpoint | undefined): Promise<boolean> {
    const { storage, config, store, bucket, origin } = this.#parts;
    storage.sql.exec(schema);
    storage.sql.exec(
      "INSERT INTO rebuilt VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET stand_in = coalesce(stand_in, excluded.stand_in)",
      standIn ?? null,
    );
    storage.sql.exec("INSERT OR IGNORE INTO rebuilt_since VALUES (1, ?)", this.#startedAt);
    this.#load();
    const published = await bucket.read(checkpointKey(origin));
    const copied = published && openCheckpoint(published.bytes, signerOf(config, origin));
    if (copied?.ok === false)
      throw new Error("ledger: the published checkpoint is not one that this log signed");
    const last = copied?.value.frame?.number ?? -1;
    let head = restoreHead(store, origin);
    for (let bytes = 0; numberOf(head) < last && bytes < STEP_BYTES;) {
      const frames = await this.#nextObject(head, last);
      const stored = frames.reduce((sum, { length }) => sum + length, 0);
      bytes += stored;
      const before = head;
      head = this.#store(before, frames, rooted, (after) => {
        store.copied.add({
          first: numberOf(before) + 1,
          last: numberOf(after),
          size: after.size,
          bytes: stored,
        });
      });
    }
    if (numberOf(head) < last) return false;
    if (numberOf(head) > last) return true; // an earlier call stored the later frames
    if (copied !== undefined && checkpointText(checkpointOf(head)) !== checkpointText(copied.value))
      throw new Error("ledger: the copy's frames do not make the tree of its checkpoint");
    const further = await this.#framesUpTo(head, rooted);
    const done = { frames: numberOf(head) + 1, size: head.size };
    // One transaction: no signature covers a part of the frames.
    this.#store(head, further, rooted, (after) => {
      if (after.size === 0) return;
      store.setSigned({ size: after.size, text: checkpointText(checkpointOf(after)), at: 0 });
      new FlushRows(storage.sql).save({ done });
    });
    return true;
  }

  /** The frames after a head: of the longest object that begins with the next frame and is below the checkpoint. */
  async #nextObject(head: Head, last: number): Promise<readonly Uint8Array[]> {
    const first = numberOf(head) + 1;
    const frames = await this.#object(first, last);
    if (frames === undefined)
      throw new Error(`ledger: the copy lacks frame ${first}: put it back from an export`);
    return frames;
  }

  /** The longest object of frames from `first` to at most `last`; undefined when the copy has none. */
  async #object(first: number, last: number): Promise<readonly Uint8Array[] | undefined> {
    const { bucket, origin } = this.#parts;
    const prefix = objectKey(origin, { kind: "frames", first, last: 0 }).slice(0, -1);
    const ends = (await bucket.keys(prefix)).map((key) => Number(key.slice(prefix.length)));
    const end = largest(ends.filter((number) => number <= last));
    const read = Number.isSafeInteger(end)
      ? await bucket.read(objectKey(origin, { kind: "frames", first, last: end }))
      : undefined;
    const frames = read && splitFrames(read.bytes);
    return frames?.length === end - first + 1 ? frames : undefined;
  }

  /** The frames after a head up to the root log's checkpoint; empty when the copy lacks a frame. */
  async #framesUpTo(head: Head, rooted: Checkpoint | undefined): Promise<readonly Uint8Array[]> {
    const last = rooted?.frame?.number ?? -1;
    const all: Uint8Array[] = [];
    let bytes = 0;
    for (let first = numberOf(head) + 1; first <= last;) {
      const frames = (await this.#object(first, Infinity))?.slice(0, last - first + 1);
      bytes += frames?.reduce((sum, { length }) => sum + length, 0) ?? 0;
      if (frames === undefined || bytes > ROOTED_BYTES) return [];
      for (const frame of frames) all.push(frame);
      first += frames.length;
    }
    return all;
  }

  /**
   * Commits the leaves of frames again, which must give the same frames: their chain, sizes and trees are so
   * checked.
   */
  #store(
    before: Head,
    frames: readonly Uint8Array[],
    rooted: Checkpoint | undefined,
    also: (after: Head) => void,
  ): Head {
    const { storage, store } = this.#parts;
    const commits: Commit[] = [];
    let head = before;
    for (const bytes of frames) {
      const frame = parseFrame(bytes);
      const again = frame.ok
        ? commit(head, frame.value.leaves, instant(frame.value.seconds * 1_000))
        : undefined;
      if (again === undefined || !sameBytes(again.frame, bytes))
        throw new Error(`ledger: frame ${numberOf(head) + 1} of the copy does not fit its log`);
      commits.push(again);
      head = again.head;
      if (
        rooted?.frame?.number === numberOf(head) &&
        checkpointText(checkpointOf(head)) !== checkpointText(rooted)
      )
        throw new Error("ledger: the copy's frames do not make the tree of the root log's checkpoint");
    }
    storage.transactionSync(() => {
      for (const one of commits) {
        store.insert(one, new Uint8Array(), undefined);
        store.created();
      }
      also(head);
    });
    return head;
  }

  #load(): void {
    const { sql } = this.#parts.storage;
    if (!hasTable(sql, "rebuilt")) return;
    const [row] = sql.exec<{ stand_in: string | null }>("SELECT stand_in FROM rebuilt").toArray();
    this.#isRebuilt = row !== undefined;
    this.#standIn = row?.stand_in ?? undefined;
    // a log that an earlier version rebuilt has no such table
    if (!hasTable(sql, "rebuilt_since")) return;
    this.#lostBy = sql.exec<{ lost_by: number }>("SELECT lost_by FROM rebuilt_since").toArray()[0]?.lost_by;
  }
}

/** The number of a log's last frame; -1: the log is empty. */
const numberOf = ({ frame }: Head): number => frame?.number ?? -1;
