import { parseFrame } from "#ledger/frame";
import { parseLeaf } from "#ledger/leaf";
import type { DevFile } from "../../../cli/dev-file.ts";

/** What anyone may see of a leaf: no more than this and its bytes, which are sealed. */
export interface PublicLeaf {
  readonly log: string;
  readonly frame: number;
  /** `leafKinds` of src/ledger/leaf.ts. */
  readonly kind: number;
  /** Of the whole leaf, in bytes. */
  readonly length: number;
}

/** The leaves of all logs, as the ledger's public side gives them. */
export async function publicLeaves(dev: DevFile): Promise<PublicLeaf[]> {
  const leaves: PublicLeaf[] = [];
  for (const log of Object.keys(dev.logs)) {
    for (let number = 0; ; number++) {
      const response = await fetch(`${dev.ledger}/${log}/frame/${number}`);
      if (response.status === 404) break;
      const frame = parseFrame(await response.bytes());
      if (!frame.ok) throw new Error(frame.error);
      for (const bytes of frame.value.leaves) {
        const leaf = parseLeaf(bytes);
        if (!leaf.ok) throw new Error(leaf.error);
        leaves.push({ log, frame: number, kind: leaf.value.kind, length: bytes.length });
      }
    }
  }
  return leaves;
}
