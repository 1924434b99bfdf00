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
import { logOfVerifier } from "#ledger/log-of-verifier";

/**
 * A log that was checked whole, with the hashes needed to read it again and to prove its content: 32 bytes
 * per leaf and per frame.
 */
export class CheckedLog {
  readonly name: string;
  readonly origin: string;
  readonly size: number;
  readonly checkpoint: string; // the signed note
  readonly #reader: LogReader;
  readonly #frames: readonly Uint8Array[]; // hashes
  readonly #at: HashAt;

  private constructor(reader: LogReader, verifier: Verifier, seen: Seen, size: number) {
    this.name = logOfVerifier(verifier);
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
   * Reads the whole log with its public key alone (docs/ledger-format.md §8). The log must extend the earlier
   * checkpoints. Throws only when the reader throws.
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

  /** The checked frames, in order. Throws when a frame's bytes have changed since the check. */
  async *frames(): AsyncGenerator<Frame & { readonly hash: Uint8Array }> {
    for (const [number, hash] of this.#frames.entries()) {
      const bytes = await this.#reader.frame(number);
      const frame = bytes !== undefined && sameBytes(frameHash(bytes), hash) ? parseFrame(bytes) : undefined;
      if (!frame?.ok)
        throw new Error(
          `${this.name}: frame/${number} has changed since it was checked: run the command again`,
        );
      yield { ...frame.value, hash };
    }
  }

  /** A C2SP tlog-proof that a leaf is in this log. It verifies offline, with the log's public key. */
  proof(index: number): string {
    return inclusionNote(index, inclusionProof(index, this.size, this.#at), this.checkpoint);
  }
}

/** Caches the hash of each tile node: the proofs of neighbouring leaves share most of their path. */
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
      // Each tile is read once, at the width that the checkpoint's size gives it.
      if (hashes !== undefined) seen.tiles.set(`${level}/${index}`, hashes);
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
