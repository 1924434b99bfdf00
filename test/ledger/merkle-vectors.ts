import { existsSync, globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A proof of transparency-dev/merkle's test data: the index and sizes of its kind, and hashes in base64. */
export interface Vector {
  readonly leafIdx: number;
  readonly treeSize: number;
  readonly leafHash: string | null;
  readonly root: string | null;
  readonly size1: number;
  readonly size2: number;
  readonly root1: string | null;
  readonly root2: string | null;
  readonly proof: readonly string[] | null;
  readonly wantErr: boolean;
}

const folder = fileURLToPath(new URL("../../../shared/data/security/merkle-rfc6962", import.meta.url).href);
export const vectorsAreAbsent = !existsSync(folder);

export const vectors = (kind: "inclusion" | "consistency"): [string, Vector][] =>
  globSync(`${folder}/${kind}/**/*.json`).map((file) => [file, JSON.parse(readFileSync(file, "utf8"))]);
