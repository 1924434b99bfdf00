import type { FoundLine } from "#audit/accounting/disclosures";
import { placeText } from "#audit/accounting/line-place";
import { inTurns } from "#platform/in-turns";
import type { StubOf } from "#platform/ledger/client/stubs";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";

export type UnprovenLine = Omit<FoundLine, "proven" | "heldUntil" | "sum">;
type LeavesOf = StubOf<Pick<LedgerShard, "leaves" | "proofs">>;
type Proven = NonNullable<FoundLine["proven"]>;

const LINES_AT_ONCE = 64; // lines in a call: a leaf may be 64 KiB
// Bytes of the proofs in a page. Base64 is applied to them twice, which makes 5.4 MiB, and an answer holds 8 MiB.
const BYTES_MAX = 3_145_728;

/** Proves lines with data that anyone could fetch from their logs: the leaves, and a tlog-proof for each. */
export class LineProofs {
  readonly #logOf: LeavesOf;
  readonly #checkpointMs: number;

  constructor(logOf: LeavesOf, checkpointMs: number) {
    this.#logOf = logOf;
    this.#checkpointMs = checkpointMs;
  }

  /**
   * Returns the first lines whose proofs fit one answer, at least one line. A line that cannot be proven now
   * has no proof. A leaf that no checkpoint covers yet is asked for once more, when the next checkpoint may
   * be signed.
   */
  async prove(lines: readonly UnprovenLine[]): Promise<readonly FoundLine[]> {
    const proven: FoundLine[] = [];
    let bytes = 0;
    let waited = false;
    for (let at = 0; at < lines.length; at += LINES_AT_ONCE) {
      const some = lines.slice(at, at + LINES_AT_ONCE);
      const proofs = new Map<string, Proven>();
      await this.#addProofs(proofs, some);
      const late = some.filter(({ log, index }) => !proofs.has(`${log}/${index}`));
      if (late.length > 0) {
        if (!waited) await scheduler.wait(this.#checkpointMs);
        waited = true;
        await this.#addProofs(proofs, late);
      }
      for (const line of some) {
        const found = proofs.get(`${line.log}/${line.index}`);
        bytes += sizeOf(line, found);
        if (bytes > BYTES_MAX && proven.length > 0) return proven;
        proven.push({ ...line, proven: found });
      }
    }
    return proven;
  }

  async #addProofs(proofs: Map<string, Proven>, lines: readonly UnprovenLine[]): Promise<void> {
    await inTurns([...Map.groupBy(lines, ({ log }) => log)], async ([log, logLines]) => {
      const indexes = [...new Set(logLines.map(({ index }) => index))];
      const shard = this.#logOf(log);
      const leaves = await shard.leaves(indexes).catch(() => []);
      const notes = await shard.proofs(indexes).catch(() => []);
      for (const [i, index] of indexes.entries()) {
        const [leaf, note] = [leaves[i], notes[i]];
        if (leaf !== undefined && note !== undefined) proofs.set(`${log}/${index}`, { leaf, note });
      }
    });
  }
}

function sizeOf(line: UnprovenLine, proven: Proven | undefined): number {
  const { content, salt, path, consents } = line;
  const ofProof = proven === undefined ? 0 : proven.leaf.length + proven.note.length;
  return (
    content.length +
    (consents?.length ?? 0) +
    salt.length +
    path.length * 44 +
    ofProof +
    placeText(line).length +
    512
  );
}
