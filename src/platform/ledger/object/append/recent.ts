import type { Recorded } from "#audit/ports";
import type { Instant } from "#kernel/clock";
import { fromHex, sameBytes } from "#ledger/bytes/bytes";
import { Cursor } from "#ledger/bytes/cursor";
import type { Draft } from "./draft.ts";
import { RecentEntries } from "./recent-entries.ts";

/**
 * How long a repeated append gets its first answer, and how long a used proof of possession is remembered. A
 * shorter time lets a proof be used twice (see PROOF_MS in client/sink).
 */
export const RECENT_MS = 130_000;
const KEY_BYTES = 20;
const ENTRY_BYTES = 78;

type Named = Pick<Draft, "id" | "step" | "digest">;

/** The frame that has an append's records. */
type Frame = Pick<Recorded, "log" | "frame" | "frameHash">;

interface Waiting {
  readonly digest: Uint8Array;
  readonly recorded: Promise<Recorded>;
}

/**
 * The appends of the last 130 s or longer by (event id, step), so that a retry after a lost answer is not recorded
 * twice.
 */
export class RecentAppends {
  readonly #waiting = new Map<string, Waiting>(); // for their commit
  readonly #committed = new RecentEntries<Frame>({ key: KEY_BYTES, entry: ENTRY_BYTES });

  /** The position of an earlier append of these events. Throws when different events came under this id. */
  find(draft: Named): Promise<Recorded> | undefined {
    const earlier = this.#waiting.get(nameOf(draft)) ?? this.#recorded(draft);
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
    this.#committed.prune(now);
    this.load(packed, frame, now);
    for (const draft of drafts) this.#waiting.delete(nameOf(draft));
  }

  /** Loads the entries that a commit packed (see `packRecent`), after a restart. Commits come in order of time. */
  load(packed: Uint8Array, frame: Frame, committed: Instant): void {
    this.#committed.add(packed, frame, committed + RECENT_MS);
  }

  #recorded(draft: Named): Waiting | undefined {
    const found = this.#committed.find(keyOf(draft));
    if (found === undefined) return undefined;
    const cursor = new Cursor(found.entry.slice(KEY_BYTES));
    const [digest, index, count, leafHash] = [cursor.bytes(16), cursor.u64(), cursor.u16(), cursor.bytes(32)];
    return { digest, recorded: Promise.resolve({ ...found.note, index, count, leafHash }) };
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
