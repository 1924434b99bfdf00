import { generateKeyPairSync, randomBytes } from "node:crypto";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { halfYearOf, logName } from "#ledger/log-name";
import { ROOT_LOG, RootLeaves, siblingOf } from "#ledger/root-log";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { parseVerifierKey, readNote, verifierKey } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { AccountingDesk } from "#platform/ledger/isolate/accounting-desk";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { readLedgerConfig } from "#platform/ledger/config";
import { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { bucket, startWith } from "./bucket.ts";
import { config, disclosureOf, ledger, newId, ownLog, refusal, shard } from "./worker.ts";

const oldKey: object = JSON.parse(ledger.CHECKPOINT_KEY);
const newKey = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
const { d: _private, ...oldHalf } = { d: undefined, ...oldKey };
const keysOf = (...keys: readonly object[]) => ({ CHECKPOINT_KEY: JSON.stringify(keys) });
const newPublic = new Uint8Array(Buffer.from(newKey.x ?? "", "base64url"));

function verifierOfText(...keys: readonly Uint8Array[]) {
  const text = keys.map((key) => verifierKey(`ledger.test/${ROOT_LOG}`, key)).join(" ");
  const read = parseVerifierKey(text);
  if (!read.ok) throw new Error(text);
  return read.value;
}

const root = ledger.LEDGER_ROOT.getByName(ROOT_LOG);
/** A deployment with these keys: an instance over a log's storage. The log's own object starts anew after it. */
async function withKeys<T>(log: string, keys: object, act: (object: LedgerShard) => Promise<T>): Promise<T> {
  const done = await runInDurableObject(shard(log), async (_, state) =>
    act(await startWith(state, bucket, keys)),
  );
  await evictDurableObject(shard(log));
  return done;
}
async function rootWithKeys<T>(keys: object, act: (object: LedgerRoot) => Promise<T>): Promise<T> {
  const done = await runInDurableObject(root, async (_, state) => {
    const object = new LedgerRoot(state, { ...ledger, ...keys, LEDGER_BUCKET: bucket, WITNESSES: [] });
    await scheduler.wait(1001); // the start, and the second that the last signature is used for
    return act(object);
  });
  await evictDurableObject(root);
  return done;
}

test(
  "while the checkpoint key is replaced, both keys sign; a verifier with either key accepts, and with both keys the whole history verifies",
  { timeout: 60_000 },
  async ({ expect }) => {
    const log = ownLog();
    const [before, after, both] = [
      verifierOfText(config.checkpointPublicKey),
      verifierOfText(newPublic),
      verifierOfText(newPublic, config.checkpointPublicKey),
    ].map((verifier) => siblingOf(verifier, log));
    if (before === undefined || after === undefined || both === undefined) throw new Error("no verifiers");
    const steps = [
      { keys: keysOf(oldKey), accepted: [true, false, true] },
      { keys: keysOf(oldKey, newKey), accepted: [true, true, true] },
      { keys: keysOf(newKey, oldKey), accepted: [true, true, true] },
      { keys: keysOf(newKey, oldHalf), accepted: [false, true, true] },
    ];
    for (const { keys, accepted } of steps) {
      const note = await withKeys(log, keys, async (object) => {
        await object.append([refusal()]);
        await scheduler.wait(1001); // a checkpoint is signed once a second at most
        return object.checkpoint();
      });
      const seen = [before, after, both].map(
        (verifier) => openCheckpoint(note ?? new Uint8Array(), verifier).ok,
      );
      expect(seen, fromUtf8(note ?? new Uint8Array())).toEqual(accepted);
    }
    expect(await withKeys(log, keysOf(newKey, oldHalf), (object) => object.status())).toMatchObject({
      why: null,
      size: 9, // four key epochs
    });
    const wrong = withKeys(log, keysOf(newKey), (object) => object.status());
    expect(
      await wrong.then(({ why }) => why, String),
      "without the old half its own past is unknown",
    ).toContain("did not sign");
  },
);

test("the first checkpoint key is private, no key stands twice, and a faulty private key is no public half", ({
  expect,
}) => {
  for (const [cause, ...keys] of [
    ["the first key must be private (d)", oldHalf, newKey],
    ["a key is listed twice", oldKey, oldHalf],
    ["an Ed25519 private JWK, or an array", newKey, { ...oldKey, d: 7 }],
    ["not an Ed25519 key", newKey, { ...oldHalf, x: "AA" }],
    ["an Ed25519 private JWK, or an array"],
  ] as const)
    expect(() => readLedgerConfig({ ...ledger, ...keysOf(...keys) })).toThrow(`CHECKPOINT_KEY: ${cause}`);
  expect(readLedgerConfig({ ...ledger, ...keysOf(newKey, oldHalf) }).furtherCheckpointKeys).toHaveLength(1);
});

test(
  "after a new subject key an accounting has the lines of both keys",
  { timeout: 60_000 },
  async ({ expect }) => {
    const subject = { SUBJECT_KEY: `${randomBytes(32).toString("base64url")} ${ledger.SUBJECT_KEY}` };
    const log = ownLog();
    const early = disclosureOf(1);
    const patient = early.patients[0]?.patient ?? "";
    await shard(log).append([early]);
    const late = { ...disclosureOf(1), patients: early.patients };
    await withKeys(log, subject, async (object) => {
      await object.append([late]);
      await object.alarm();
    });
    const linesOf = async (variables: object) => {
      const desk = new AccountingDesk({ ...ledger, LEDGER_SHARDS: "16", ...variables }, () =>
        instant(Date.now()),
      );
      const { lines } = await desk.linesOf({
        patients: [patient],
        from: instant(0),
        to: instant(Date.now() + 60_000),
        count: 10,
        toldTo: "officer",
        caller: { id: newId(), at: instant(Date.now()), who: { client: "privacy-officer" } },
      });
      return lines.length;
    };
    expect(await linesOf(subject)).toBe(2);
    expect(await linesOf({}), "the old key alone").toBe(1);
  },
);

// The last test of this file: a log whose leaf has the new key's signature starts only with that key.
test("a leaf of the root log has the signature of the first key alone, and both keys read all leaves", async ({
  expect,
}) => {
  const halfYear = halfYearOf(instant(Date.now()));
  // no log that the look-up before has opened
  const [first, second] = [logName({ shard: 40, halfYear }), logName({ shard: 41, halfYear })];
  await rootWithKeys(keysOf(oldKey, newKey), (object) => object.open(first));
  await rootWithKeys(keysOf(newKey, oldKey), (object) => object.open(second));
  await rootWithKeys(keysOf(newKey, oldKey), async (object) => {
    await object.alarm();
    const note = readNote((await object.checkpoint()) ?? new Uint8Array());
    expect(note.ok && note.value.signatures.length).toBe(2);
  });
  const seenBy = (...keys: readonly Uint8Array[]) =>
    rootWithKeys(keysOf(newKey, oldKey), async (object) => {
      const verifier = verifierOfText(...keys);
      const leaves = new RootLeaves(verifier);
      const checked = await verifyLog(object, verifier, {}, leaves);
      return checked.ok ? [...leaves.seen.keys()] : checked.error.problem;
    });
  expect(await seenBy(newPublic, config.checkpointPublicKey)).toEqual(
    expect.arrayContaining([first, second]),
  );
  expect(await seenBy(newPublic)).toBe("note_not_signed_by_a_known_key");
  expect(await seenBy(config.checkpointPublicKey)).toBe("note_not_signed_by_a_known_key");
});
