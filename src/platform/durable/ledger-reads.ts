import { instant } from "#kernel/clock";
import { concat, utf8 } from "#ledger/bytes";
import type { Head } from "#ledger/commit";
import { inclusionNote } from "#ledger/inclusion-note";
import { type HashAt, inclusionProof } from "#ledger/merkle";
import { TILE_WIDTH } from "#ledger/tile";
import type { CheckpointSigner } from "./ledger-signer.ts";
import type { LedgerStore } from "./ledger-store.ts";
import { entriesOf, hashAt, tileHashes } from "./ledger-view.ts";

/** The public objects of a log. What is asked for comes over RPC, of any type; undefined when the log has no such object. */
export class LedgerReads {
  readonly #store: LedgerStore;
  readonly #signer: CheckpointSigner;
  readonly #head: () => Head;

  constructor(store: LedgerStore, signer: CheckpointSigner, head: () => Head) {
    this.#store = store;
    this.#signer = signer;
    this.#head = head;
  }

  checkpoint(): Uint8Array {
    return utf8(this.#signer.sign(this.#head(), instant(Date.now())).note);
  }

  tile(level: number, index: number, width: number): Uint8Array | undefined {
    if (!isTile(level, width) || !isIndex(index)) return undefined;
    const hashes = tileHashes(this.#store, this.#head(), level, index);
    return hashes.length < width ? undefined : concat(hashes.slice(0, width));
  }

  entries(index: number, width: number): Uint8Array | undefined {
    return isTile(0, width) && isIndex(index) ? entriesOf(this.#store, this.#head(), index, width) : undefined;
  }

  frame(number: number): Uint8Array | undefined {
    const last = this.#head().frame?.number ?? -1;
    return isIndex(number) && number <= last ? this.#store.frame(number)?.body : undefined;
  }

  proof(index: number): Uint8Array | undefined {
    return this.proofs([index])[0];
  }

  /** All under one checkpoint. The paths of neighbours have most of their hashes in common: each is made once. */
  proofs(indexes: readonly number[]): readonly (Uint8Array | undefined)[] {
    const head = this.#head();
    if (!indexes.some((index) => isIndex(index) && index < head.size)) return indexes.map(() => undefined);
    const signed = this.#signer.sign(head, instant(Date.now()));
    const at = eachOnce(hashAt(this.#store, head));
    return indexes.map((index) =>
      isIndex(index) && index < signed.size ? utf8(inclusionNote(index, inclusionProof(index, signed.size, at), signed.note)) : undefined,
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

const isIndex = (value: unknown): value is number => typeof value === "number" && Number.isSafeInteger(value) && value >= 0;

const isTile = (level: unknown, width: unknown): boolean =>
  isIndex(level) && level <= 63 && isIndex(width) && width >= 1 && width <= TILE_WIDTH;
