import { largest } from "#kernel/largest";
import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { concat } from "#ledger/bytes/bytes";
import type { Head } from "#ledger/commit";
import { type FrameRange, RANGES_A_LIST } from "#ledger/frame-copies";
import { splitEntries } from "#ledger/leaf/frame";
import { inclusionNote } from "#ledger/tlog/inclusion-note";
import { type HashAt, inclusionProof } from "#ledger/tlog/merkle";
import { TILE_WIDTH } from "#ledger/tlog/tile";
import type { LedgerObjects } from "./objects.ts";
import type { CheckpointSigner } from "./signer.ts";

/**
 * The public objects of a log. RPC callers may send arguments of any type; undefined when the log has no
 * such object.
 */
export class LedgerReads {
  readonly #objects: LedgerObjects;
  readonly #signer: CheckpointSigner;
  readonly #head: () => Head;

  constructor(objects: LedgerObjects, signer: CheckpointSigner, head: () => Head) {
    this.#objects = objects;
    this.#signer = signer;
    this.#head = head;
  }

  checkpoint(): Uint8Array {
    return utf8(this.#signer.sign(this.#head(), instant(Date.now())).note);
  }

  async tile(level: number, index: number, width: number): Promise<Uint8Array | undefined> {
    if (!isTile(level, width) || !isIndex(index)) return undefined;
    const hashes = await this.#objects.tile(level, index);
    return hashes.length < width ? undefined : concat(hashes.slice(0, width));
  }

  async entries(index: number, width: number): Promise<Uint8Array | undefined> {
    return isTile(0, width) && isIndex(index) ? this.#objects.entries(index, width) : undefined;
  }

  /** Reads bundle by bundle: a bundle may be 16 MiB. */
  async leaves(indexes: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    const found = new Map<number, Uint8Array>();
    const wanted = [...new Set(indexes)].filter((index) => isIndex(index) && index < this.#head().size);
    for (const [bundle, among] of Map.groupBy(wanted, (index) => Math.floor(index / TILE_WIDTH))) {
      const bytes = await this.#objects.entries(bundle, (largest(among) % TILE_WIDTH) + 1);
      const leaves = (bytes && splitEntries(bytes)) ?? [];
      for (const index of among) {
        const leaf = leaves[index % TILE_WIDTH];
        // an RPC answer is sent with the whole buffer under a view
        if (leaf !== undefined) found.set(index, leaf.slice());
      }
    }
    return indexes.map((index) => found.get(index));
  }

  async frame(number: number): Promise<Uint8Array | undefined> {
    return isIndex(number) ? this.#objects.frame(number) : undefined;
  }

  frameCopies(number: number, limit: number): readonly FrameRange[] {
    const isCall = isIndex(number) && isIndex(limit) && limit <= RANGES_A_LIST;
    return isCall ? this.#objects.frameCopies(number, limit) : [];
  }

  async proof(index: number): Promise<Uint8Array | undefined> {
    return (await this.proofs([index]))[0];
  }

  /**
   * All proofs are under one checkpoint. Neighbouring paths share most of their hashes: each hash is
   * computed once.
   */
  async proofs(indexes: readonly number[]): Promise<readonly (Uint8Array | undefined)[]> {
    const head = this.#head();
    const inLog = indexes.filter((index) => isIndex(index) && index < head.size);
    if (inLog.length === 0) return indexes.map(() => undefined);
    const { size, note } = this.#signer.sign(head, instant(Date.now()));
    const at = eachOnce(await this.#objects.hashesAbout(head, [size, ...inLog]));
    return indexes.map((index) =>
      isIndex(index) && index < size
        ? utf8(inclusionNote(index, inclusionProof(index, size, at), note))
        : undefined,
    );
  }
}

function eachOnce(at: HashAt): HashAt {
  const known = new Map<string, Uint8Array>();
  return (level, index) => {
    const key = `${level}/${index}`;
    const hash = known.get(key) ?? at(level, index);
    known.set(key, hash);
    return hash;
  };
}

const isIndex = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

const isTile = (level: unknown, width: unknown): boolean =>
  isIndex(level) && level <= 63 && isIndex(width) && width >= 1 && width <= TILE_WIDTH;
