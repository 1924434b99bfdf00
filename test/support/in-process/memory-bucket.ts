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

/**
 * An R2 bucket in memory, as far as the ledger uses it: conditional writes, heads, whole objects and parts.
 */
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

  async get(
    key: string,
    { range }: { readonly range?: { readonly offset: number; readonly length: number } } = {},
  ) {
    const there = this.#objects.get(key);
    if (there === undefined) return null;
    const bytes =
      range === undefined
        ? there.bytes.slice()
        : there.bytes.slice(range.offset, range.offset + range.length);
    return { ...headOf(there), bytes: async () => bytes, body: new Blob([bytes]).stream() };
  }
}

const headOf = ({ etag, sha256 }: Stored) => ({ etag, checksums: { sha256: sha256?.slice().buffer } });
