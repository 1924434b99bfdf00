import { subjectOf } from "#audit/accounting/line";
import { lineCommitment, lineSalt } from "#ledger/leaf/lines";
import { inclusionProof, nodeHash } from "#ledger/tlog/merkle";
import type { LeafLines } from "#platform/ledger/object/log/key-epoch";
import { type ProvableLine, shelfNumberOf } from "./accounting-shelf.ts";
import type { LineOfRow } from "./packed-lines.ts";
import { bytesInCall } from "./put-lines.ts";

/** A line that waits in its shard. */
export interface WaitingLine {
  readonly leaf: WaitingLeaf;
  readonly line: number;
  readonly shelf: number;
}

/** A leaf whose lines wait in its shard: makes their salts and proofs when they are asked for. */
export class WaitingLeaf {
  readonly #log: string;
  readonly #leaf: LeafLines;
  /** Hashes of the tree over the lines, by level: the paths of 500 lines share most of their nodes. */
  readonly #nodes: Uint8Array[][] = [];

  constructor(log: string, leaf: LeafLines) {
    this.#log = log;
    this.#leaf = leaf;
  }

  /** Throws for bytes that are not a line. */
  lines(): readonly WaitingLine[] {
    return this.#leaf.contents.map((content, line) => ({
      leaf: this,
      line,
      shelf: shelfNumberOf(subjectOf(content) ?? notALine()),
    }));
  }

  /** At least the bytes of a line with its proof. */
  sizeOf(line: number): number {
    const { contents, consents } = this.#leaf;
    return bytesInCall(this.#content(line), consents?.[line], Math.ceil(Math.log2(contents.length)));
  }

  /** A line with its proof, content and Consents as views. */
  proven(line: number): LineOfRow {
    const { index, contents, consents } = this.#leaf;
    const lines = contents.length;
    return {
      log: this.#log,
      index,
      line,
      lines,
      content: this.#content(line),
      salt: this.#salt(line),
      path: lines === 1 ? [] : inclusionProof(line, lines, this.#hashAt),
      consents: consents?.[line],
    };
  }

  readonly #hashAt = (level: number, index: number): Uint8Array => {
    const hashes = (this.#nodes[level] ??= []);
    return (hashes[index] ??=
      level === 0
        ? lineCommitment(this.#salt(index), this.#content(index))
        : nodeHash(this.#hashAt(level - 1, 2 * index), this.#hashAt(level - 1, 2 * index + 1)));
  };

  #salt(line: number): Uint8Array {
    return lineSalt(this.#leaf.seed, line);
  }

  #content(line: number): Uint8Array {
    return this.#leaf.contents[line] ?? notALine();
  }
}

/** A line in the form that a shelf takes. */
export function provableLine({ leaf, line }: WaitingLine): ProvableLine {
  const proven = leaf.proven(line);
  const content = proven.content.slice(); // a call sends the whole buffer under a view: all bytes of the row
  return {
    ...proven,
    subject: subjectOf(content) ?? notALine(),
    content,
    consents: proven.consents?.slice(),
  };
}

function notALine(): never {
  throw new Error("ledger: a stored line is not valid");
}
