import { err, ok, type Result } from "#kernel/result";
import { fromBase64, toBase64 } from "#ledger/bytes/base64";
import { utf8 } from "#kernel/encoded";
import { fromUtf8, sameBytes } from "#ledger/bytes/bytes";
import type { Checkpoint } from "#ledger/tlog/checkpoint";
import { openInclusionNote } from "#ledger/tlog/inclusion-note";
import { leafKinds, parseLeaf } from "#ledger/leaf/leaf";
import { lineCommitment } from "#ledger/leaf/lines";
import { leafHash, verifyInclusion } from "#ledger/tlog/merkle";
import type { Verifier } from "#ledger/tlog/signed-note";
import { type AccountingLine, readLine } from "./line.ts";
import type { FoundLine } from "./disclosures.ts";

/** All data for an offline check of a line with the log's public key (docs/accounting.md). */
export type LineProof = Omit<FoundLine, "patient" | "proven"> & NonNullable<FoundLine["proven"]>;

export type LineProblem =
  | "proof_malformed"
  | "line_malformed"
  | "leaf_malformed"
  | "line_not_of_leaf"
  | "leaf_not_in_log"
  | "other_leaf_proven";

/** The proof as a JSON text, byte strings in base64; undefined while no checkpoint covers the leaf. */
export function writeLineProof({
  log,
  index,
  line,
  lines,
  content,
  salt,
  path,
  proven,
}: FoundLine): string | undefined {
  if (proven === undefined) return undefined;
  const { leaf, note } = proven;
  const text = {
    content: toBase64(content),
    salt: toBase64(salt),
    path: path.map(toBase64),
    leaf: toBase64(leaf),
    note: fromUtf8(note),
  };
  return JSON.stringify({ log, index, line, lines, ...text });
}

/** Reads a text of `writeLineProof`. */
export function readLineProof(text: string): Result<LineProof, "proof_malformed"> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return err("proof_malformed");
  }
  if (typeof value !== "object" || value === null) return err("proof_malformed");
  // each is checked below
  const { log, index, line, lines, content, salt, path, leaf, note } = value as Record<string, unknown>;
  const bytes = (field: unknown) => (typeof field === "string" ? fromBase64(field) : undefined);
  const [ofContent, ofSalt, ofLeaf, ofPath] = [
    bytes(content),
    bytes(salt),
    bytes(leaf),
    Array.isArray(path) ? path.map(bytes) : [],
  ];
  const numbers = [index, line, lines];
  if (typeof log !== "string" || typeof note !== "string" || !numbers.every((n) => typeof n === "number"))
    return err("proof_malformed");
  if (ofContent === undefined || ofSalt === undefined || ofLeaf === undefined || !Array.isArray(path))
    return err("proof_malformed");
  if (!ofPath.every((hash): hash is Uint8Array => hash?.length === 32)) return err("proof_malformed");
  const [at = 0, number = 0, count = 0] = numbers;
  return ok({
    log,
    index: at,
    line: number,
    lines: count,
    content: ofContent,
    salt: ofSalt,
    path: ofPath,
    leaf: ofLeaf,
    note: utf8(note),
  });
}

/**
 * Checks that the log committed to a line; returns the line and the signed checkpoint that proves it.
 * `verifier`: the log's public key.
 *
 * @param rootIndex as for `openInclusionNote`.
 */
export function checkLine(
  proof: LineProof,
  verifier: Verifier,
  rootIndex?: number,
): Result<{ readonly says: AccountingLine; readonly checkpoint: Checkpoint }, LineProblem> {
  const says = readLine(proof.content);
  if (says === undefined) return err("line_malformed");
  const leaf = parseLeaf(proof.leaf);
  if (!leaf.ok || leaf.value.kind !== leafKinds.sealed) return err("leaf_malformed");
  const commitment = lineCommitment(proof.salt, proof.content);
  if (!verifyInclusion(proof.line, proof.lines, commitment, proof.path, leaf.value.linesRoot))
    return err("line_not_of_leaf");
  const opened = openInclusionNote(proof.note, leafHash(proof.leaf), verifier, rootIndex);
  if (!opened.ok) return err("leaf_not_in_log");
  return opened.value.index === proof.index
    ? ok({ says, checkpoint: opened.value.checkpoint })
    : err("other_leaf_proven");
}

/**
 * Answers whether two lines are about the same patient: without the ledger's key nobody can see which
 * patient.
 */
export const sameSubject = (one: AccountingLine, other: AccountingLine): boolean =>
  sameBytes(one.subject, other.subject);
