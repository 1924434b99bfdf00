import type { JWK } from "jose";
import { accountingLines, isAccountable } from "#audit/accounting/line";
import { type AuditRecord, decodeRecord } from "#audit/record";
import { err, ok, type Result } from "#kernel/result";
import { sameBytes } from "#ledger/bytes/bytes";
import { readKeyEpoch } from "#ledger/leaf/clear-body";
import { type Leaf, leafKinds } from "#ledger/leaf/leaf";
import { linesRoot } from "#ledger/leaf/lines";
import { isCommittedKey, openLeaf } from "#ledger/leaf/seal";
import { unwrapForAuditor } from "./unwrap-key.ts";
import type { AuditorSecrets } from "#ledger/leaf/auditor-secrets";

/**
 * The reason why a sealed leaf cannot be read. Each reason but the first means that the log's writer violated
 * the format.
 */
export type Unopened =
  | "its key is not wrapped to this auditor"
  | "its key is not the committed one"
  | "it does not open with its key"
  | "it contains no record"
  | "its record is of a later version"
  | "its accounting lines are not the committed ones";

/**
 * Opens the leaves of one log with auditors' private keys. The leaves must come in order and verified
 * (verifyLog).
 */
export class LeafOpener {
  readonly #origin: string;
  readonly #auditors: readonly JWK[];
  #secrets: Result<AuditorSecrets, Unopened> = err("its key is not wrapped to this auditor");

  constructor(origin: string, auditors: readonly JWK[]) {
    this.#origin = origin;
    this.#auditors = auditors;
  }

  /**
   * The record of a sealed leaf, with its accounting lines checked against the leaf's commitment. Undefined
   * for an unsealed leaf.
   */
  async open(leaf: Leaf): Promise<Result<AuditRecord, Unopened> | undefined> {
    switch (leaf.kind) {
      case leafKinds.sealed:
        return this.#secrets.ok ? openRecord(leaf, this.#origin, this.#secrets.value) : this.#secrets;
      case leafKinds.keyEpoch:
        this.#secrets = await this.#unwrap(leaf);
        return undefined;
      case leafKinds.shardOpen:
      case leafKinds.shardSeal:
        return undefined;
    }
  }

  /** AES-GCM does not commit to its key, so a key other than the committed key is refused here. */
  async #unwrap({ body, keyEpoch }: Leaf): Promise<Result<AuditorSecrets, Unopened>> {
    const epoch = readKeyEpoch(body);
    if (epoch === undefined) return err("its key is not wrapped to this auditor");
    for (const auditor of this.#auditors) {
      const secrets = await unwrapForAuditor(epoch.wrapped, auditor, this.#origin, keyEpoch);
      if (secrets === undefined) continue;
      return isCommittedKey(secrets.dataKey, this.#origin, keyEpoch, epoch.commitment)
        ? ok(secrets)
        : err("its key is not the committed one");
    }
    return err("its key is not wrapped to this auditor");
  }
}

async function openRecord(
  leaf: Leaf,
  origin: string,
  { dataKey, subjectKey }: AuditorSecrets,
): Promise<Result<AuditRecord, Unopened>> {
  const plaintext = await openLeaf(dataKey, origin, leaf);
  if (!plaintext.ok) return err("it does not open with its key");
  const record = decodeRecord(plaintext.value);
  if (!record.ok)
    return err(record.error === "bad_record" ? "it contains no record" : "its record is of a later version");
  const { event, seed } = record.value;
  if (event.kind !== "disclosure" || event.patients.length === 0) return record;
  const committed =
    isAccountable(event) && sameBytes(linesRoot(seed, accountingLines(event, subjectKey)), leaf.linesRoot);
  return committed ? record : err("its accounting lines are not the committed ones");
}
