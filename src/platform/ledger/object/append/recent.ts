import type { Recorded } from "#audit/ports";
import type { Instant } from "#kernel/clock";
import { fromHex, sameBytes } from "#ledger/bytes/bytes";
import { Cursor } from "#ledger/bytes/cursor";
import type { Draft } from "./draft.ts";

/**
 * How long a repeated append gets its first answer, and how long a used proof of possession is remembered. A
 * shorter time lets a proof be used twice (see PROOF_MS in client/sink).
 */
export const RECENT_MS = 130_000;
const ENTRY_BYTES = 78;

interface Entry {
  readonly digest: Uint8Array;
  readonly until: number;
  readonly recorded: Promise<Recorded>;
}

/**
 * The appends of the last 130 s by (event id, step), so that a retry after a lost answer is not recorded
 * twice.
 */
export class RecentAppends {
  readonly #entries = new Map<string, Entry>(); // in order of time

  /** The position of an earlier append of these events. Throws when different events came under this id. */
  find(draft: Draft): Promise<Recorded> | undefined {
    const entry = this.#entries.get(name(draft));
    if (entry !== undefined && !sameBytes(entry.digest, draft.digest))
      throw new TypeError("ledger: bad event: another event has this id and step");
    return entry?.recorded;
  }

  add(draft: Pick<Draft, "id" | "step" | "digest">, recorded: Promise<Recorded>, now: Instant): void {
    this.#entries.set(name(draft), { digest: draft.digest, until: now + RECENT_MS, recorded });
  }

  prune(now: Instant): void {
    for (const [key, { until }] of this.#entries) {
      if (until > now) return;
      this.#entries.delete(key);
    }
  }

  /** Loads the entries that a commit packed (see `packRecent`), after a restart. */
  load(packed: Uint8Array, at: Pick<Recorded, "log" | "frame" | "frameHash">, committed: Instant): void {
    const cursor = new Cursor(packed);
    while (cursor.remaining >= ENTRY_BYTES) {
      const id = Buffer.from(cursor.bytes(16)).toString("hex");
      const [step, digest] = [cursor.u32(), cursor.bytes(16)];
      const [index, count, leafHash] = [cursor.u64(), cursor.u16(), cursor.bytes(32)];
      this.add({ id, step, digest }, Promise.resolve({ ...at, index, count, leafHash }), committed);
    }
  }
}

/**
 * id[16] | step u32 | digest[16] | index u64 | count u16 | leaf hash[32]: 78 bytes for each append, in its
 * commit's row.
 */
export function packRecent(
  appends: readonly { readonly draft: Draft; readonly recorded: Recorded }[],
): Uint8Array {
  const bytes = new Uint8Array(appends.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [i, { draft, recorded }] of appends.entries()) {
    const at = i * ENTRY_BYTES;
    bytes.set(fromHex(draft.id), at);
    view.setUint32(at + 16, draft.step);
    bytes.set(draft.digest, at + 20);
    view.setBigUint64(at + 36, BigInt(recorded.index));
    view.setUint16(at + 44, recorded.count);
    bytes.set(recorded.leafHash, at + 46);
  }
  return bytes;
}

const name = (draft: Pick<Draft, "id" | "step">): string => `${draft.id}.${draft.step}`;
