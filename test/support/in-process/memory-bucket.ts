import { randomUUID } from "node:crypto";

interface Stored {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly sha256: Uint8Array | undefined;
}

interface Conditions {
  readonly onlyIf?: { readonly etagMatches?: string; readonly etagDoesNotMatch?: string };
  readonly sha256?: Uint8Array;
}

/** An R2 bucket in memory, as far as the ledger uses it: conditional writes, heads and whole objects. */
export class MemoryBucket {
  readonly #objects = new Map<string, Stored>();

  async put(key: string, bytes: Uint8Array, { onlyIf = {}, sha256 }: Conditions = {}) {
    const there = this.#objects.get(key);
    if (onlyIf.etagDoesNotMatch === "*" && there !== undefined) return null;
    if (onlyIf.etagMatches !== undefined && there?.etag !== onlyIf.etagMatches) return null;
    const stored = { bytes: bytes.slice(), etag: randomUUID(), sha256: sha256?.slice() };
    this.#objects.set(key, stored);
    return headOf(stored);
  }

  async head(key: string) {
    const there = this.#objects.get(key);
    return there === undefined ? null : headOf(there);
  }

  async get(key: string) {
    const there = this.#objects.get(key);
    return there === undefined ? null : { ...headOf(there), bytes: async () => there.bytes.slice() };
  }
}

const headOf = ({ etag, sha256 }: Stored) => ({ etag, checksums: { sha256: sha256?.slice().buffer } });
