import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { instant } from "#kernel/clock";
import { commit, emptyHead, checkpointOf, type Head } from "#ledger/commit";
import { joinFrames } from "#ledger/frame-copies";
import { entry } from "#ledger/leaf/frame";
import { encodeLeaf, leafKinds } from "#ledger/leaf/leaf";
import { sizeClasses, TAG_BYTES } from "#ledger/leaf/padding";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { TILE_WIDTH, tilePath } from "#ledger/tlog/tile";
import { openLeaf, origin, sampleLog, signed, verifierOf } from "../ledger/sample-log.ts";

/** Where an object stands in the file `objects`: its offset and its length. */
type Places = Record<string, readonly [number, number]>;

const FRAMES_A_FLUSH = 45; // a flush runs 45 s after a commit
const start = Date.UTC(2026, 9, 1);

/**
 * A log with a commit of one record a second, as large as a test needs, in a folder: all objects in the file
 * `objects`, their places in `places.json`, the list of joined frames in `ranges`. The bodies of its records are
 * random: only an auditor's key would tell.
 */
export class LargeLog {
  readonly verifier = verifierOf(origin);
  readonly #folder: string;
  readonly #file: number;
  readonly #places: Places = {};
  readonly #ranges: string[] = [];
  #at = 0;
  #head: Head = emptyHead(origin);
  #epoch: Uint8Array | undefined;
  #bundle: Uint8Array[] = [];
  #frames: Uint8Array[] = [];
  #number = 0;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true });
    this.#file = openSync(join(folder, "objects"), "w");
  }

  /** Adds frames and signs a checkpoint. */
  async grow(frames: number): Promise<void> {
    this.#epoch ??= (await sampleLog([1])).leaves[1];
    const body = new Uint8Array(randomBytes((sizeClasses[0] ?? 0) + TAG_BYTES));
    const linesRoot = new Uint8Array(randomBytes(32));
    for (let n = 0; n < frames; n++) {
      const counter = this.#number + 1;
      new DataView(body.buffer).setUint32(0, counter);
      const leaf = encodeLeaf({ kind: leafKinds.sealed, keyEpoch: 1, counter, linesRoot, body });
      const opening = this.#number === 0 ? [openLeaf(origin), this.#epoch ?? new Uint8Array()] : [];
      this.#commit([...opening, leaf]);
      if (this.#frames.length >= FRAMES_A_FLUSH) this.#flush();
    }
    this.#flush();
    this.#put("checkpoint", signed(checkpointText(checkpointOf(this.#head))));
    const { size, edge } = this.#head;
    if (this.#bundle.length > 0)
      this.#put(
        `tile/entries/${tilePath(Math.floor(size / TILE_WIDTH), this.#bundle.length)}`,
        Buffer.concat(this.#bundle.flatMap(entry)),
      );
    for (const [level, hashes] of edge.entries())
      if (hashes.length > 0)
        this.#put(
          `tile/${level}/${tilePath(Math.floor(size / TILE_WIDTH ** (level + 1)), hashes.length)}`,
          Buffer.concat(hashes),
        );
    writeFileSync(join(this.#folder, "ranges"), this.#ranges.join("\n"));
    writeFileSync(join(this.#folder, "places.json"), JSON.stringify(this.#places));
  }

  close(): void {
    closeSync(this.#file);
  }

  #commit(leaves: readonly Uint8Array[]): void {
    const done = commit(this.#head, leaves, instant(start + this.#number * 1000));
    for (const tile of done.tiles)
      this.#put(`tile/${tile.level}/${tilePath(tile.index, TILE_WIDTH)}`, tile.hashes);
    for (const leaf of leaves) {
      this.#bundle.push(leaf);
      if (this.#bundle.length < TILE_WIDTH) continue;
      const index = (this.#head.size + leaves.length) / TILE_WIDTH - 1;
      this.#put(
        `tile/entries/${tilePath(Math.floor(index), TILE_WIDTH)}`,
        Buffer.concat(this.#bundle.flatMap(entry)),
      );
      this.#bundle = [];
    }
    this.#head = done.head;
    this.#frames.push(done.frame);
    this.#number++;
  }

  #flush(): void {
    if (this.#frames.length === 0) return;
    const range = `${this.#number - this.#frames.length}-${this.#number - 1}`;
    this.#ranges.push(range);
    this.#put(`frames/${range}`, joinFrames(this.#frames));
    this.#frames = [];
  }

  #put(path: string, bytes: Uint8Array): void {
    writeSync(this.#file, bytes);
    this.#places[path] = [this.#at, bytes.length];
    this.#at += bytes.length;
  }
}

/** The places of the objects in a folder that `LargeLog` wrote. */
export const readPlaces = (folder: string): Places =>
  JSON.parse(readFileSync(join(folder, "places.json"), "utf8"));
