import { readFileSync } from "node:fs";
import type { JWK } from "jose";
import { decodeRecord, type AuditRecord } from "#audit/record";
import { readKeyEpoch } from "#ledger/clear-body";
import { parseFrame } from "#ledger/frame";
import { leafKinds, parseLeaf } from "#ledger/leaf";
import { isCommittedKey, openLeaf } from "#ledger/seal";
import { unwrapForAuditor, type AuditorSecrets } from "#platform/durable/ledger-key-wrap";
import type { DevFile } from "../../cli/dev-file.ts";

/** What an auditor reads: every record of every log, opened with a private key that no worker has. */
export async function openLedger(dev: DevFile): Promise<AuditRecord[]> {
  const auditor: JWK = JSON.parse(readFileSync(dev.auditors[0]?.key ?? "", "utf8"));
  const records: AuditRecord[] = [];
  for (const log of Object.keys(dev.logs)) {
    const origin = `${dev.ledgerName}/${log}`;
    let secrets: AuditorSecrets | undefined;
    for (let n = 0; ; n++) {
      const response = await fetch(`${dev.ledger}/${log}/frame/${n}`);
      if (response.status === 404) break;
      const frame = parseFrame(await response.bytes());
      if (!frame.ok) throw new Error(frame.error);
      for (const bytes of frame.value.leaves) {
        const leaf = parseLeaf(bytes);
        if (!leaf.ok) throw new Error(leaf.error);
        if (leaf.value.kind === leafKinds.keyEpoch) {
          const body = readKeyEpoch(leaf.value.body);
          secrets = body && (await unwrapForAuditor(body.wrapped, auditor, origin, leaf.value.keyEpoch));
          if (secrets && body && !isCommittedKey(secrets.dataKey, origin, leaf.value.keyEpoch, body.commitment))
            throw new Error("not the committed key");
        }
        if (leaf.value.kind !== leafKinds.sealed || secrets === undefined) continue;
        const plaintext = openLeaf(secrets.dataKey, origin, leaf.value);
        const record = plaintext.ok ? decodeRecord(plaintext.value) : plaintext;
        if (!record.ok) throw new Error(record.error);
        records.push(record.value);
      }
    }
  }
  return records;
}
