import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { DefinitionIndex } from "#audit/definition-index";
import { definitionKind } from "#audit/event";
import { decodeRecord, type AuditRecord } from "#audit/record";
import { readKeyEpoch } from "#ledger/leaf/clear-body";
import { parseFrame } from "#ledger/leaf/frame";
import { leafKinds, parseLeaf } from "#ledger/leaf/leaf";
import { isCommittedKey, openLeaf } from "#ledger/leaf/seal";
import { unwrapForAuditor } from "#auditing/unwrap-key";
import type { AuditorSecrets } from "#ledger/leaf/auditor-secrets";
import type { DevFile } from "../../cli/connection/dev-file.ts";

/** The public part of a leaf. The bytes of the leaf are public too, but they are sealed. */
export interface PublicLeaf {
  readonly log: string;
  readonly frame: number;
  /** A value of `leafKinds` in src/ledger/leaf/leaf.ts. */
  readonly kind: number;
  /** Length of the whole leaf, in bytes. */
  readonly length: number;
}

/**
 * The additions to the ledger: as the public sees them, and as an auditor opens them. Definitions are among
 * the leaves alone; each record has the content that it names.
 */
export interface Added {
  readonly leaves: readonly PublicLeaf[];
  readonly records: readonly AuditRecord[];
}

/** Reads all logs of a ledger from its public side, and opens them with a private key that no worker has. */
export class LedgerReader {
  readonly #dev: Pick<DevFile, "auditors" | "logs" | "ledger" | "ledgerName">;
  readonly #auditor: JWK;
  readonly #next = new Map<string, number>();
  readonly #definitions = new Map<string, DefinitionIndex>();
  readonly #secrets = new Map<string, AuditorSecrets | undefined>();

  constructor(dev: Pick<DevFile, "auditors" | "logs" | "ledger" | "ledgerName">) {
    this.#dev = dev;
    this.#auditor = JSON.parse(readFileSync(dev.auditors[0]?.key ?? "", "utf8"));
  }

  /**
   * All additions since the last call, log by log. Throws for a frame or a leaf that does not parse or open.
   */
  async read(): Promise<Added> {
    const [leaves, records]: [PublicLeaf[], AuditRecord[]] = [[], []];
    for (const log of Object.keys(this.#dev.logs)) {
      for (let number = this.#next.get(log) ?? 0; ; number++) {
        this.#next.set(log, number);
        const response = await fetch(`${this.#dev.ledger}/${log}/frame/${number}`);
        if (response.status === 404) break;
        const frame = parseFrame(await response.bytes());
        if (!frame.ok) throw new Error(frame.error);
        for (const bytes of frame.value.leaves) {
          const { kind, record } = await this.#open(log, bytes);
          leaves.push({ log, frame: number, kind, length: bytes.length });
          if (record !== undefined) records.push(...this.#resolved(log, record));
        }
      }
    }
    return { leaves, records };
  }

  /** The record with the content that it names; none for a definition, which is a leaf alone. */
  #resolved(log: string, record: AuditRecord): readonly AuditRecord[] {
    const definitions = this.#definitions.get(log) ?? new DefinitionIndex();
    this.#definitions.set(log, definitions);
    if (record.event.kind === definitionKind) {
      const added = definitions.add(record);
      if (!added.ok) throw new Error(added.error);
      return [];
    }
    const event = definitions.resolve(record.event);
    if (!event.ok) throw new Error(event.error);
    return [{ ...record, event: event.value }];
  }

  async #open(
    log: string,
    bytes: Uint8Array,
  ): Promise<{ readonly kind: number; readonly record: AuditRecord | undefined }> {
    const origin = `${this.#dev.ledgerName}/${log}`;
    const leaf = parseLeaf(bytes);
    if (!leaf.ok) throw new Error(leaf.error);
    const { kind, keyEpoch } = leaf.value;
    if (kind === leafKinds.keyEpoch) {
      const body = readKeyEpoch(leaf.value.body);
      const secrets = body && (await unwrapForAuditor(body.wrapped, this.#auditor, origin, keyEpoch));
      if (secrets && body && !isCommittedKey(secrets.dataKey, origin, keyEpoch, body.commitment))
        throw new Error("not the committed key");
      this.#secrets.set(log, secrets);
    }
    const secrets = this.#secrets.get(log);
    if (kind !== leafKinds.sealed || secrets === undefined) return { kind, record: undefined };
    const plaintext = await openLeaf(secrets.dataKey, origin, leaf.value);
    const record = plaintext.ok ? decodeRecord(plaintext.value) : plaintext;
    if (!record.ok) throw new Error(record.error);
    return { kind, record: record.value };
  }
}
