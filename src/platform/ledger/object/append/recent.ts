import type { Recorded } from "#audit/ports";
import type { Instant } from "#kernel/clock";
import { fromHex, sameBytes } from "#ledger/bytes/bytes";
import type { Draft } from "./draft.ts";

/**
 * How long a repeated append gets its first answer, and how long a used proof of possession is remembered. A
 * shorter time lets a proof be used twice (see PROOF_MS in client/sink).
 */
export const RECENT_MS = 130_000;
const KEY_BYTES = 20;
const ENTRY_BYTES = 78;
const PAGE_ENTRIES = 1024;

type Named = Pick<Draft, "id" | "step" | "digest">;

/** The frame that has an append's records. */
type Frame = Pick<Recorded, "log" | "frame" | "frameHash">;

interface Waiting {
  readonly digest: Uint8Array;
  readonly recorded: Promise<Recorded>;
}

/**
 * The appends of the last 130 s or longer by (event id, step), so that a retry after a lost answer is not recorded
 * twice. A log that takes 400 appends a second has 52,000 of them, and loads them before its first answer after a
 * restart. As bytes they are 4 MB in place of 20, and load in a tenth of the time.
 */
export class RecentAppends {
  readonly #waiting = new Map<string, Waiting>(); // for their commit
  #pages: RecentPage[] = []; // in order of time

  /** The position of an earlier append of these events. Throws when different events came under this id. */
  find(draft: Named): Promise<Recorded> | undefined {
    const earlier = this.#waiting.get(nameOf(draft)) ?? this.#committed(draft);
    if (earlier !== undefined && !sameBytes(earlier.digest, draft.digest))
      throw new TypeError("ledger: bad event: another event has this id and step");
    return earlier?.recorded;
  }

  /** Call before the commit of an append; `committed` or `refused` follows, or the object is torn down. */
  expect(draft: Named, recorded: Promise<Recorded>): void {
    this.#waiting.set(nameOf(draft), { digest: draft.digest, recorded });
  }

  /** An append has no record and gets none here. */
  refused(draft: Named): void {
    this.#waiting.delete(nameOf(draft));
  }

  /** `packed`: of these appends (see `packRecent`). */
  committed(drafts: readonly Named[], packed: Uint8Array, frame: Frame, now: Instant): void {
    this.#pages = this.#pages.filter(({ until }) => until > now);
    this.load(packed, frame, now);
    for (const draft of drafts) this.#waiting.delete(nameOf(draft));
  }

  /** Loads the entries that a commit packed (see `packRecent`), after a restart. Commits come in order of time. */
  load(packed: Uint8Array, frame: Frame, committed: Instant): void {
    const count = Math.floor(packed.length / ENTRY_BYTES);
    for (let first = 0; first < count;) {
      let page = this.#pages.at(-1);
      if (page === undefined || page.room === 0) this.#pages.push((page = new RecentPage()));
      const some = Math.min(count - first, page.room);
      page.add(
        packed.subarray(first * ENTRY_BYTES, (first + some) * ENTRY_BYTES),
        frame,
        committed + RECENT_MS,
      );
      first += some;
    }
  }

  #committed(draft: Named): Waiting | undefined {
    if (this.#pages.length === 0) return undefined;
    const key = keyOf(draft);
    for (const page of this.#pages) {
      const found = page.find(key);
      if (found !== undefined) return { digest: found.digest, recorded: Promise.resolve(found.recorded) };
    }
    return undefined;
  }
}

/**
 * Entries of 1,024 appends, and a table of their places by the last four bytes of the event id, which a gateway
 * draws at random.
 */
class RecentPage {
  readonly #bytes = new Uint8Array(PAGE_ENTRIES * ENTRY_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #frames: Frame[] = []; // of each entry
  /** An entry's number and one more; 0: free. An entry whose place is taken has the next free one. */
  readonly #places = new Uint16Array(2 * PAGE_ENTRIES);
  #until = 0;

  /** When the last entry is no longer recent. */
  get until(): number {
    return this.#until;
  }

  get room(): number {
    return PAGE_ENTRIES - this.#frames.length;
  }

  add(entries: Uint8Array, frame: Frame, until: number): void {
    const first = this.#frames.length;
    this.#bytes.set(entries, first * ENTRY_BYTES);
    for (let entry = first; entry < first + entries.length / ENTRY_BYTES; entry += 1) {
      let place = this.#placeOf(this.#view.getUint32(entry * ENTRY_BYTES + 12));
      while (this.#places[place] !== 0) place = this.#placeOf(place + 1);
      this.#places[place] = entry + 1;
      this.#frames.push(frame);
    }
    this.#until = until;
  }

  find(key: Uint8Array): { readonly digest: Uint8Array; readonly recorded: Recorded } | undefined {
    let place = this.#placeOf(new DataView(key.buffer, key.byteOffset).getUint32(12));
    for (let number = this.#places[place] ?? 0; number > 0; number = this.#places[place] ?? 0) {
      if (this.#isOf(number - 1, key)) return this.#entry(number - 1);
      place = this.#placeOf(place + 1);
    }
    return undefined;
  }

  #placeOf(number: number): number {
    return number % this.#places.length;
  }

  #isOf(entry: number, key: Uint8Array): boolean {
    const at = entry * ENTRY_BYTES;
    for (let i = KEY_BYTES - 1; i >= 0; i -= 1) if (this.#bytes[at + i] !== key[i]) return false;
    return true;
  }

  #entry(entry: number): { readonly digest: Uint8Array; readonly recorded: Recorded } {
    const at = entry * ENTRY_BYTES;
    const frame = this.#frames[entry];
    if (frame === undefined) throw new Error("ledger: no frame of an entry");
    const index = Number(this.#view.getBigUint64(at + 36));
    const count = this.#view.getUint16(at + 44);
    const leafHash = this.#bytes.slice(at + 46, at + ENTRY_BYTES);
    return { digest: this.#bytes.slice(at + 20, at + 36), recorded: { ...frame, index, count, leafHash } };
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
    bytes.set(keyOf(draft), at);
    bytes.set(draft.digest, at + 20);
    view.setBigUint64(at + 36, BigInt(recorded.index));
    view.setUint16(at + 44, recorded.count);
    bytes.set(recorded.leafHash, at + 46);
  }
  return bytes;
}

const nameOf = ({ id, step }: Named): string => `${id}.${step}`;

/** id[16] | step u32 */
function keyOf({ id, step }: Named): Uint8Array {
  const key = new Uint8Array(KEY_BYTES);
  key.set(fromHex(id));
  new DataView(key.buffer).setUint32(16, step);
  return key;
}
