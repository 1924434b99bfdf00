import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { decodeRecord, type AuditRecord } from "#audit/record";
import { readKeyEpoch } from "#ledger/clear-body";
import { parseFrame } from "#ledger/frame";
import { leafKinds, parseLeaf } from "#ledger/leaf";
import { isCommittedKey, openLeaf } from "#ledger/seal";
import { unwrapForAuditor, type AuditorSecrets } from "#platform/durable/ledger-key-wrap";
import type { DevFile } from "../../cli/dev-file.ts";

/** A log as far as it was opened: frames never change, so each is fetched and opened once. */
interface OpenedLog {
  readonly records: AuditRecord[];
  frames: number;
  secrets: AuditorSecrets | undefined;
  /** Settles when the call before has read to the end: a frame is opened with the key that a frame before it has. */
  reading: Promise<void>;
}
const opened = new Map<string, OpenedLog>();

/** What an auditor reads: every record of every log, opened with a private key that no worker has. */
export async function openLedger(dev: DevFile): Promise<AuditRecord[]> {
  const auditor: JWK = JSON.parse(readFileSync(dev.auditors[0]?.key ?? "", "utf8"));
  const records: AuditRecord[] = [];
  for (const [name, verifier] of Object.entries(dev.logs)) {
    const key = `${dev.ledger}/${name} ${verifier}`; // another stack may have had the port, with other keys
    const log = opened.get(key) ?? { records: [], frames: 0, secrets: undefined, reading: Promise.resolve() };
    opened.set(key, log);
    log.reading = log.reading.then(() => readOn(log, `${dev.ledger}/${name}`, `${dev.ledgerName}/${name}`, auditor));
    await log.reading;
    records.push(...log.records);
  }
  return records;
}

async function readOn(log: OpenedLog, url: string, origin: string, auditor: JWK): Promise<void> {
  for (;;) {
    const response = await fetch(`${url}/frame/${log.frames}`);
    if (response.status === 404) return response.body?.cancel();
    const frame = parseFrame(await response.bytes());
    if (!frame.ok) throw new Error(frame.error);
    log.frames += 1;
    for (const bytes of frame.value.leaves) await readLeaf(log, bytes, origin, auditor);
  }
}

async function readLeaf(log: OpenedLog, bytes: Uint8Array, origin: string, auditor: JWK): Promise<void> {
  const leaf = parseLeaf(bytes);
  if (!leaf.ok) throw new Error(leaf.error);
  if (leaf.value.kind === leafKinds.keyEpoch) {
    const body = readKeyEpoch(leaf.value.body);
    const secrets = body && (await unwrapForAuditor(body.wrapped, auditor, origin, leaf.value.keyEpoch));
    if (secrets && body && !isCommittedKey(secrets.dataKey, origin, leaf.value.keyEpoch, body.commitment))
      throw new Error("not the committed key");
    log.secrets = secrets;
  }
  if (leaf.value.kind !== leafKinds.sealed || log.secrets === undefined) return;
  const plaintext = openLeaf(log.secrets.dataKey, origin, leaf.value);
  const record = plaintext.ok ? decodeRecord(plaintext.value) : plaintext;
  if (!record.ok) throw new Error(record.error);
  log.records.push(record.value);
}
