import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { halfYearOf, logName } from "#ledger/log-name";
import { ROOT_LOG, RootLeaves } from "#ledger/root-log";
import { readNote } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import { bucket } from "./bucket.ts";
import { keysOf, newKey, newPublic, oldKey, verifierOfText } from "./replaced-keys.ts";
import { config, ledger } from "./worker.ts";

// A file of its own has a ledger of its own: a log whose leaf has the new key's signature starts only with that
// key, so no test may run after this one on the same ledger.
const root = ledger.LEDGER_ROOT.getByName(ROOT_LOG);
async function rootWithKeys<T>(keys: object, act: (object: LedgerRoot) => Promise<T>): Promise<T> {
  const done = await runInDurableObject(root, async (_, state) => {
    const object = new LedgerRoot(state, { ...ledger, ...keys, LEDGER_BUCKET: bucket, WITNESSES: [] });
    await scheduler.wait(1001); // the start, and the second that the last signature is used for
    return act(object);
  });
  await evictDurableObject(root);
  return done;
}

test.skipIf(ledger.LANE === "fast")(
  "a leaf of the root log has the signature of the first key alone, and both keys read all leaves",
  async ({ expect }) => {
    const halfYear = halfYearOf(instant(Date.now()));
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
  },
);
