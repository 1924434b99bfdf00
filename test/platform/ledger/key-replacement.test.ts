import { randomBytes } from "node:crypto";
import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { fromUtf8 } from "#ledger/bytes/bytes";
import { siblingOf } from "#ledger/root-log";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { AccountingDesk } from "#platform/ledger/isolate/accounting-desk";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import { readLedgerConfig } from "#platform/ledger/config";
import { bucket, startWith } from "./bucket.ts";
import { keysOf, newKey, newPublic, oldKey, verifierOfText } from "./replaced-keys.ts";
import { config, disclosureOf, ledger, newId, ownLog, refusal, shard } from "./worker.ts";

const { d: _private, ...oldHalf } = { d: undefined, ...oldKey };

/** A deployment with these keys: an instance over a log's storage. The log's own object starts anew after it. */
async function withKeys<T>(log: string, keys: object, act: (object: LedgerShard) => Promise<T>): Promise<T> {
  const done = await runInDurableObject(shard(log), async (_, state) =>
    act(await startWith(state, bucket, keys)),
  );
  await evictDurableObject(shard(log));
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
