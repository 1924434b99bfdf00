import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { AuditEvent } from "#audit/event";
import { instant } from "#kernel/clock";
import { type Checkpoint, checkpointText } from "#ledger/tlog/checkpoint";
import { checkpointOf } from "#ledger/commit";
import { emptyRoot } from "#ledger/tlog/merkle";
import { encodeShardOpen } from "#ledger/leaf/clear-body";
import { encodeLeaf, leafKinds } from "#ledger/leaf/leaf";
import { verifierKey } from "#ledger/tlog/signed-note";
import type { NamedEvents } from "#platform/ledger/client/definitions";
import { recordsOfDefinition } from "#platform/ledger/object/append/definitions";
import { draftAppend } from "#platform/ledger/object/append/draft";
import { Epoch } from "#platform/ledger/object/log/key-epoch";
import { config, logOfFrames, origin, type SampleLog, signed } from "../ledger/sample-log.ts";

function auditorKey(kid: string) {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { kty, crv, x, y, d } = privateKey.export({ format: "jwk" });
  return { kid, kty, crv, x, y, d };
}

/** Auditors with private keys that the test has. `stranger` is not an auditor of the ledger. */
export const auditors = {
  one: auditorKey("auditor-1"),
  two: auditorKey("auditor-2"),
  stranger: auditorKey("auditor-1"),
};
export const logKey = verifierKey(origin, config.checkpointPublicKey);

const publicHalf = ({ kid, kty, crv, x, y }: ReturnType<typeof auditorKey>) => ({
  kid,
  jwk: { kid, kty, crv, x, y },
});
const ledger = { ...config, auditors: [publicHalf(auditors.one), publicHalf(auditors.two)] };
const random32 = () => crypto.getRandomValues(new Uint8Array(32));

/**
 * A log of the events of each append, with a frame and a key epoch per append. The ledger's own code makes
 * it.
 *
 * @param define makes an append's events and definitions; as in records from before definitions, if absent.
 */
export async function logOfEvents(
  appends: readonly (readonly AuditEvent[])[],
  commitTo = (linesRoot: Uint8Array) => linesRoot,
  define: (events: readonly AuditEvent[]) => NamedEvents = (events) => ({ events, definitions: new Map() }),
): Promise<SampleLog> {
  const open = encodeShardOpen({ origin, halfYear: "2026h2", auditors: ["auditor-1", "auditor-2"] });
  const frames: Uint8Array[][] = [];
  for (const [i, events] of appends.entries()) {
    const epoch = await Epoch.begin(ledger as typeof config, origin, i + 1, instant(Date.UTC(2026, 9, 1)));
    const named = define(events);
    const defined = [...named.definitions.values()].flatMap((definition) =>
      recordsOfDefinition(definition, instant(Date.UTC(2026, 9, 1))).map(({ plaintext, linesRoot }) =>
        epoch.seal(plaintext, linesRoot),
      ),
    );
    const records = draftAppend(named.events, ledger.subjectKeys[0]).records.map(({ plaintext, linesRoot }) =>
      epoch.seal(plaintext, commitTo(linesRoot)),
    );
    const first = encodeLeaf({
      kind: leafKinds.shardOpen,
      keyEpoch: 0,
      counter: 0,
      linesRoot: random32(),
      body: open,
    });
    frames.push([...(i === 0 ? [first] : []), epoch.leaf, ...(await Promise.all([...defined, ...records]))]);
  }
  return logOfFrames(frames);
}

/** The root log that opened a log and has its checkpoint, and its key. */
export function rootOf(log: SampleLog): { readonly root: SampleLog; readonly key: string } {
  const leaf = (checkpoint: Checkpoint) => signed(checkpointText(checkpoint), checkpoint.origin);
  const root = logOfFrames(
    [[leaf({ origin, size: 0, root: emptyRoot })], [leaf(checkpointOf(log.head))]],
    undefined,
    "ledger.test/root",
  );
  return { root, key: verifierKey("ledger.test/root", config.checkpointPublicKey) };
}

/** Writes a log as an export does, without its file of keys. */
export function writeLog(folder: string, log: SampleLog, name = "s0-2026h2"): string {
  for (const [path, bytes] of log.objects) {
    const file = join(folder, name, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
  }
  return folder;
}

export function writeKey(folder: string, jwk: object, name = "auditor.jwk.json"): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(jwk));
  return file;
}

/** A disclosure of these patients' resources to a client. */
export function disclosure(
  number: number,
  client: string,
  patients: Readonly<Record<string, Record<string, number>>>,
  about: Partial<AuditEvent> = {},
): AuditEvent {
  const counts: Record<string, number> = {};
  for (const each of Object.values(patients))
    for (const [type, count] of Object.entries(each)) counts[type] = (counts[type] ?? 0) + count;
  return {
    id: number.toString(16).padStart(32, "0"),
    at: instant(Date.UTC(2026, 9, 1, 12, number)),
    kind: "disclosure",
    who: { client, certificate: "c".repeat(43), tokenId: `token-${number}`, issuer: "https://gateway.test" },
    from: { address: "203.0.113.7" },
    what: {
      interaction: "search-type",
      origin: "main",
      type: "Observation",
      parameters: [["code", "8867-4"]],
      method: "GET",
      path: "Observation",
    },
    why: {
      purposes: ["TREAT"],
      agreement: `${client}-agreement`,
      policy: `sha256:${"a".repeat(64)}`,
      grant: `${client}/main/TREAT`,
    },
    outcome: { status: 200 },
    patients: Object.entries(patients).map(([id, counts]) => ({ patient: `main/Patient/${id}`, counts })),
    unnamed: [],
    counts,
    withheld: { paths: ["Patient.address"], resources: 1 },
    ...about,
  };
}
