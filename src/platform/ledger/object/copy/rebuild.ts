import { instant } from "#kernel/clock";
import { sameBytes } from "#ledger/bytes/bytes";
import { checkpointOf, commit, type Commit, type Head } from "#ledger/commit";
import { checkpointKey, objectKey } from "#ledger/flush";
import { splitFrames } from "#ledger/frame-copies";
import { parseFrame } from "#ledger/leaf/frame";
import { type Checkpoint, checkpointText, openCheckpoint } from "#ledger/tlog/checkpoint";
import { type LedgerConfig, signerOf } from "#platform/ledger/config";
import type { LedgerBucket } from "#platform/ledger/object/log/bucket";
import type { LedgerStore } from "#platform/ledger/object/log/store";
import { restoreHead } from "#platform/ledger/object/log/stored-log";
import { FlushRows } from "./flush-rows.ts";

// One call rebuilds at least one object of the copy (up to 8 MiB), and ends after this many bytes.
const STEP_BYTES = 8_388_608;

const schema = `CREATE TABLE IF NOT EXISTS rebuilt (id INTEGER PRIMARY KEY CHECK (id = 1),
  stand_in TEXT) STRICT`;

interface RebuildParts {
  readonly storage: DurableObjectStorage;
  readonly config: LedgerConfig;
  readonly store: LedgerStore;
  readonly bucket: LedgerBucket;
  readonly origin: string;
}

/**
 * A log whose storage was lost, made again from its copy in R2. The log shows what the copy has and never adds a
 * leaf: receipts name leaves that the copy lacks, and a second leaf at such an index would be a second history
 * (P5). Its stand-in takes the further records.
 */
export class LedgerRebuild {
  readonly #parts: RebuildParts;
  #isRebuilt = false;
  #standIn: string | undefined;

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
   * Stores frames of the copy as rows. True when all frames up to the published checkpoint are rows. Throws when the
   * copy cannot be read, and when its frames do not make the tree that the checkpoint names.
   */
  async step(standIn: string | undefined): Promise<boolean> {
    const { storage, config, store, bucket, origin } = this.#parts;
    storage.sql.exec(schema);
    storage.sql.exec(
      "INSERT INTO rebuilt VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET stand_in = coalesce(stand_in, excluded.stand_in)",
      standIn ?? null,
    );
    this.#load();
    const published = await bucket.read(checkpointKey(origin));
    if (published === undefined) return true; // no copy was made before the loss
    const checkpoint = openCheckpoint(published.bytes, signerOf(config, origin));
    if (!checkpoint.ok) throw new Error("ledger: the published checkpoint is not one that this log signed");
    const last = checkpoint.value.frame?.number ?? -1;
    let head = restoreHead(store, origin);
    for (let bytes = 0; (head.frame?.number ?? -1) < last && bytes < STEP_BYTES;) {
      const copied = await this.#nextObject(head, last);
      head = this.#store(head, copied);
      bytes += copied.reduce((sum, { length }) => sum + length, 0);
    }
    if ((head.frame?.number ?? -1) < last) return false;
    this.#end(head, checkpoint.value);
    return true;
  }

  /** The frames after a head: of the longest object that begins with the next frame and is below the checkpoint. */
  async #nextObject(head: Head, last: number): Promise<readonly Uint8Array[]> {
    const { bucket, origin } = this.#parts;
    const first = (head.frame?.number ?? -1) + 1;
    const prefix = objectKey(origin, { kind: "frames", first, last: 0 }).slice(0, -1);
    const ends = (await bucket.keys(prefix)).map((key) => Number(key.slice(prefix.length)));
    const end = Math.max(...ends.filter((number) => number <= last));
    const read = Number.isSafeInteger(end)
      ? await bucket.read(objectKey(origin, { kind: "frames", first, last: end }))
      : undefined;
    const frames = read && splitFrames(read.bytes);
    if (frames?.length !== end - first + 1)
      throw new Error(`ledger: the copy lacks frame ${first}: put it back from an export`);
    return frames;
  }

  /** Commits the leaves of frames again. The same frames must come out, so chain, sizes and trees are checked. */
  #store(before: Head, frames: readonly Uint8Array[]): Head {
    const { storage, store } = this.#parts;
    const commits: Commit[] = [];
    let head = before;
    for (const bytes of frames) {
      const frame = parseFrame(bytes);
      const again = frame.ok
        ? commit(head, frame.value.leaves, instant(frame.value.seconds * 1_000))
        : undefined;
      if (again === undefined || !sameBytes(again.frame, bytes))
        throw new Error(`ledger: frame ${(head.frame?.number ?? -1) + 1} of the copy does not fit its log`);
      commits.push(again);
      head = again.head;
    }
    storage.transactionSync(() => {
      for (const one of commits) {
        store.insert(one, new Uint8Array(), undefined);
        store.created();
      }
      const [first, last] = [commits[0]?.number ?? 0, head.frame?.number ?? 0];
      const bytes = frames.reduce((sum, { length }) => sum + length, 0);
      store.copied.add({ first, last, size: head.size, bytes });
    });
    return head;
  }

  #end(head: Head, checkpoint: Checkpoint): void {
    const { storage, store } = this.#parts;
    const text = checkpointText(checkpoint);
    if (checkpointText(checkpointOf(head)) !== text)
      throw new Error("ledger: the copy's frames do not make the tree of its checkpoint");
    storage.transactionSync(() => {
      store.setSigned({ size: head.size, text, at: 0 });
      new FlushRows(storage.sql).save({
        done: { frames: (head.frame?.number ?? -1) + 1, size: head.size },
      });
    });
  }

  #load(): void {
    const { sql } = this.#parts.storage;
    if (sql.exec("SELECT 1 FROM sqlite_master WHERE name = 'rebuilt'").toArray().length === 0) return;
    const [row] = sql.exec<{ stand_in: string | null }>("SELECT stand_in FROM rebuilt").toArray();
    this.#isRebuilt = row !== undefined;
    this.#standIn = row?.stand_in ?? undefined;
  }
}
