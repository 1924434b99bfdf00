import { err, ok, type Result } from "#kernel/result";
import { fromUtf8, sameBytes } from "#ledger/bytes/bytes";
import { type Frame, frameHash, parseFrame } from "#ledger/leaf/frame";
import { inclusionNote } from "#ledger/tlog/inclusion-note";
import { type HashAt, inclusionProof } from "#ledger/tlog/merkle";
import type { Checkpoint } from "#ledger/tlog/checkpoint";
import type { LogReader } from "#ledger/ports";
import type { Verifier } from "#ledger/tlog/signed-note";
import { hashAtTiles, splitHashes } from "#ledger/tlog/tile";
import { type Finding, verifyLog } from "#ledger/verify";
import { logOf } from "./ledger-keys.ts";

/** A log that was checked whole, and what is needed to read it again and to prove what it says: 32 bytes a leaf and a frame. */
export class CheckedLog {
  readonly name: string;
  readonly origin: string;
  readonly size: number;
  readonly checkpoint: string; // the signed note
  readonly #reader: LogReader;
  readonly #frames: readonly Uint8Array[]; // hashes
  readonly #at: HashAt;

  private constructor(reader: LogReader, verifier: Verifier, seen: Seen, size: number) {
    this.name = logOf(verifier);
    this.origin = verifier.name;
    this.size = size;
    this.checkpoint = fromUtf8(seen.checkpoint) ?? "";
    this.#reader = reader;
    this.#frames = seen.frames;
    this.#at = remembered(
      hashAtTiles((level, tile) => splitHashes(seen.tiles.get(`${level}/${tile}`) ?? new Uint8Array())),
    );
  }

  /**
   * Reads the whole log with its public key alone (docs/ledger-format.md §8), which must extend earlier checkpoints of it. Throws only
   * what the reader throws.
   */
  static async check(
    reader: LogReader,
    verifier: Verifier,
    since: readonly Checkpoint[],
  ): Promise<Result<CheckedLog, Finding>> {
    const seen: Seen = { checkpoint: new Uint8Array(), frames: [], tiles: new Map() };
    const verified = await verifyLog(remembering(reader, seen), verifier, { since });
    return verified.ok
      ? ok(new CheckedLog(reader, verifier, seen, verified.value.size))
      : err(verified.error);
  }

  /** The frames that were checked, in their order. Throws when one is not served again as it was. */
  async *frames(): AsyncGenerator<Frame & { readonly hash: Uint8Array }> {
    for (const [number, hash] of this.#frames.entries()) {
      const bytes = await this.#reader.frame(number);
      const frame = bytes !== undefined && sameBytes(frameHash(bytes), hash) ? parseFrame(bytes) : undefined;
      if (!frame?.ok) throw new Error(`${this.name}: frame/${number} is not what it was a moment ago`);
      yield { ...frame.value, hash };
    }
  }

  /** A C2SP tlog-proof that a leaf of this log is in it: it checks offline, with the log's public key. */
  proof(index: number): string {
    return inclusionNote(index, inclusionProof(index, this.size, this.#at), this.checkpoint);
  }
}

/** Proofs of neighbours share most of their path: each node of a tile is hashed once. */
function remembered(at: HashAt): HashAt {
  const nodes = new Map<string, Uint8Array>();
  return (level, index) => {
    const name = `${level}/${index}`;
    const node = nodes.get(name) ?? at(level, index);
    nodes.set(name, node);
    return node;
  };
}

interface Seen {
  checkpoint: Uint8Array;
  readonly frames: Uint8Array[];
  readonly tiles: Map<string, Uint8Array>;
}

function remembering(reader: LogReader, seen: Seen): LogReader {
  return {
    async checkpoint() {
      const note = await reader.checkpoint();
      if (note !== undefined) seen.checkpoint = note;
      return note;
    },
    async tile(level, index, width) {
      const hashes = await reader.tile(level, index, width);
      if (hashes !== undefined) seen.tiles.set(`${level}/${index}`, hashes); // each once, at the width that the checkpoint's size gives it
      return hashes;
    },
    entries: (index, width) => reader.entries(index, width),
    async frame(number) {
      const frame = await reader.frame(number);
      if (frame !== undefined) seen.frames.push(frameHash(frame)); // in their order
      return frame;
    },
  };
}
