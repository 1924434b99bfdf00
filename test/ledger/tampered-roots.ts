import { generateKeyPairSync, sign } from "node:crypto";
import { utf8 } from "#kernel/encoded";
import { concat, fromUtf8 } from "#ledger/bytes/bytes";
import { type Checkpoint, checkpointText } from "#ledger/tlog/checkpoint";
import { checkpointOf } from "#ledger/commit";
import { cosignatureLine, cosignedText } from "#ledger/tlog/cosignature";
import { emptyRoot } from "#ledger/tlog/merkle";
import {
  type FurtherKey,
  keyId,
  noteOf,
  signatureTypes,
  type Verifier,
  verifierKey,
  verifierOfKeys,
} from "#ledger/tlog/signed-note";
import { logOfFrames, origin, type SampleLog, sampleLog, signed } from "./sample-log.ts";
import {
  afterFrame,
  type Export,
  exportOf,
  keyOf,
  receiptOf,
  small,
  type Tampered,
} from "./tampered-exports.ts";

// Exports with a root log (docs/ledger-format.md §12): the sample logs at one moment, and attacks on them or
// on the root log.

const at = Date.UTC(2026, 9, 1);
const smallOrigin = small.verifier.name;
const main = await sampleLog([3, 1, 2]);
const leafOf = (checkpoint: Checkpoint): Uint8Array => signed(checkpointText(checkpoint), checkpoint.origin);
const opened = (of: string): Uint8Array => leafOf({ origin: of, size: 0, root: emptyRoot });
const rootOf = (frames: readonly (readonly Uint8Array[])[], time = at): SampleLog =>
  logOfFrames(frames, time, "ledger.test/root");

// the last log has nothing more yet
const opening = [opened(origin), opened(smallOrigin), opened("ledger.test/s2-2026h2")];
const middle = [leafOf(afterFrame(main, 0)), leafOf(afterFrame(small, 1))];
// the small log has a further frame
const end = [leafOf(checkpointOf(main.head)), leafOf(afterFrame(small, 3))];
const root = rootOf([opening, middle, end]);

const pair = generateKeyPairSync("ed25519");
const publicKey = new Uint8Array(
  Buffer.from(String(pair.publicKey.export({ format: "jwk" }).x), "base64url"),
);
const witness: Verifier = {
  name: "witness.test/w1",
  id: keyId("witness.test/w1", publicKey, signatureTypes.cosignature),
  publicKey,
};
/**
 * The log with a cosignature of the witness below its own signature, over this time and the text of that
 * log's checkpoint.
 */
function cosigned(
  log: SampleLog,
  text = textOf(log),
  seconds = 1_790_000_000,
  signedSeconds = seconds,
): SampleLog {
  const signature = new Uint8Array(sign(null, utf8(cosignedText(text, signedSeconds)), pair.privateKey));
  const note = concat([
    log.objects.get("checkpoint") ?? new Uint8Array(),
    utf8(cosignatureLine(witness, seconds, signature)),
  ]);
  return { ...log, objects: new Map([...log.objects, ["checkpoint", note]]) };
}
const textOf = (log: SampleLog): string =>
  `${(fromUtf8(log.objects.get("checkpoint") ?? new Uint8Array()) ?? "").split("\n\n")[0]}\n`;

const evidence = {
  keys: [keyOf(root)],
  witnesses: [verifierKey(witness.name, publicKey, signatureTypes.cosignature)],
};
/** The export for a verifier who has the root log's and the witness's keys from elsewhere. */
const seen = (name: string, logs: readonly SampleLog[]): Export => ({ ...exportOf(name, logs), ...evidence });
const bad = (name: string, named: readonly string[], logs: readonly SampleLog[]): Tampered => ({
  ...seen(name, logs),
  named,
});
/** The root log replaced by a root log that an owner of the keys made and cosigned. */
const badRoot = (name: string, frames: readonly (readonly Uint8Array[])[]): Tampered =>
  bad(
    name,
    ["root/frame/0", "root/tile/entries/000.p/2", "root/tile/entries/000.p/3"],
    [main, small, cosigned(rootOf(frames))],
  );

/** The files of an export of these logs, with a file of keys that has further logs' keys. */
const withKeys = (keys: readonly SampleLog[], logs: readonly SampleLog[]): Export["files"] =>
  new Map([...exportOf("", logs).files, ["keys", exportOf("", keys).files.get("keys") ?? new Uint8Array()]]);

/** A log that only the root log names; and that root log, with the time of its last frame. */
const goneLog = (halfYear: string): SampleLog => {
  const name = `ledger.test/s0-${halfYear}`;
  return { ...main, verifier: { ...main.verifier, name, id: keyId(name, main.verifier.publicKey) } };
};
const rootOfGone = (halfYear: string, time: number): SampleLog => {
  const { name } = goneLog(halfYear).verifier;
  const last = leafOf({ ...checkpointOf(main.head), origin: name });
  return cosigned(
    rootOf(
      [
        [opened(name), opened(smallOrigin)],
        [last, leafOf(afterFrame(small, 1))],
      ],
      time,
    ),
  );
};

// The ledger's key was replaced (docs/keys.md): the last leaves of the root log and every checkpoint have a
// signature of the new key alone.
const nextPair = generateKeyPairSync("ed25519");
const nextKey = new Uint8Array(
  Buffer.from(String(nextPair.publicKey.export({ format: "jwk" }).x), "base64url"),
);
const byNextKey = (text: string): Uint8Array =>
  utf8(
    noteOf(
      text,
      verifierOfKeys(text.split("\n")[0] ?? "", nextKey),
      new Uint8Array(sign(null, utf8(text), nextPair.privateKey)),
    ),
  );
const lastByNextKey = [checkpointOf(main.head), afterFrame(small, 3)].map((checkpoint) =>
  byNextKey(checkpointText(checkpoint)),
);
/** The three logs after the change, and the verifiers' keys: the new key and these. */
const afterChange = (...older: readonly FurtherKey[]): readonly SampleLog[] =>
  [main, small, rootOf([opening, middle, lastByNextKey])].map((log) => ({
    leaves: log.leaves,
    head: log.head,
    objects: new Map([...log.objects, ["checkpoint", byNextKey(textOf(log))]]),
    verifier: verifierOfKeys(log.verifier.name, nextKey, older),
  }));
// The old key ended when the root log had five leaves: a thief of the old key signs nothing that counts from then on.
const ended = { publicKey: main.verifier.publicKey, end: 5 };
const [mainAfter, smallAfter, rootAfter] = afterChange(ended);
if (mainAfter === undefined || smallAfter === undefined || rootAfter === undefined)
  throw new Error("no logs");
const checkpointIn = (log: SampleLog): Uint8Array => log.objects.get("checkpoint") ?? new Uint8Array();
/** The export of these logs for a verifier who knows the end of the old key. */
const endedFor = (name: string, logs: readonly SampleLog[]): Export => ({
  ...exportOf(name, logs),
  keys: [keyOf(rootAfter)],
});
/** The log under the old key, shown to verifiers who know that it ended. */
const underOldKey = (log: SampleLog): SampleLog => ({ ...log, verifier: changedKeys(log.verifier.name) });
const changedKeys = (name: string): Verifier => verifierOfKeys(name, nextKey, [ended]);
const lateLeaf: SampleLog = {
  ...underOldKey(root),
  objects: new Map([...root.objects, ["checkpoint", byNextKey(textOf(root))]]),
};
/** An earlier checkpoint under the old key: the last that counts, and a forged later checkpoint. */
export const sinceEnd: readonly { readonly made: Export; readonly isGood: boolean }[] = [
  [rootOf([opening, middle]), true] as const,
  [root, false] as const,
].map(([log, isGood]) => ({
  made: {
    ...endedFor("an earlier checkpoint under a key that ended", [mainAfter, smallAfter, rootAfter]),
    since: [checkpointIn(log)],
  },
  isGood,
}));

// The second verifier names the frame, the first the bundle.
const leavesOfOldKey = ["root/frame/0", "root/tile/entries/000.p/7"];
const goneIn = Date.UTC(2026, 6, 1); // logs of the first half of 2020
export const good: readonly Export[] = [
  seen("a root log, by whose key every log is checked", [main, small, cosigned(root)]),
  { ...exportOf("a root log, every key, no witness", [main, small, root]), witnesses: [] },
  seen("a log that is only opened, and shown", [
    main,
    small,
    logOfFrames([], at, "ledger.test/s2-2026h2"),
    cosigned(root),
  ]),
  seen("a log gone six years after its half-year", [small, rootOfGone("2020h1", goneIn)]),
  exportOf(
    "a root log whose key was replaced, and both keys",
    afterChange({ publicKey: main.verifier.publicKey }),
  ),
  endedFor("a root log whose key was replaced, and the end of the old key", [
    mainAfter,
    smallAfter,
    rootAfter,
  ]),
  {
    ...exportOf(
      "given keys in another order than in the folder, and with an end",
      afterChange({ publicKey: ended.publicKey }),
    ),
    keys: [keyOf(rootAfter).split(" ").reverse().join(" ")],
  },
];

const [first, second] = [main.leaves.slice(0, 5), main.leaves.slice(5, 6)];
const { leaves: others } = await sampleLog([3, 1, 2, 2]);
const foreignText = fromUtf8(leafOf(checkpointOf(main.head))) ?? "";
export const tampered: readonly Tampered[] = [
  bad("a root log that is not shown", ["root"], [main, small]),
  bad(
    "a log cut back behind the root log",
    ["s0-2026h2/checkpoint"],
    [logOfFrames([first, second]), small, cosigned(root)],
  ),
  bad(
    "a log rewritten and grown beyond what the root log has",
    ["s0-2026h2/frame/0", "s0-2026h2/frame/2"],
    [
      logOfFrames([others.slice(0, 5), others.slice(5, 6), others.slice(6, 8), others.slice(8)]),
      small,
      cosigned(root),
    ],
  ),
  bad("a log hidden, its key too", ["s0-2026h2"], [small, cosigned(root)]),
  bad("a log gone ten seconds too early", ["s0-2020h1"], [small, rootOfGone("2020h1", goneIn - 10_000)]),
  bad(
    "a log gone by a root log that says it is another century",
    ["s0-2026h2"],
    [small, rootOfGone("2026h2", Date.UTC(2999, 0, 1))],
  ),
  {
    ...bad(
      "a log gone in time, of which there is a receipt",
      ["s0-2020h1"],
      [small, rootOfGone("2020h1", goneIn)],
    ),
    keys: [keyOf(root), keyOf(goneLog("2020h1"))],
    files: withKeys([goneLog("2020h1"), small, root], [small, rootOfGone("2020h1", goneIn)]),
    receipts: [receiptOf(main, 2, 0).replace("2026h2", "2020h1")],
  },
  {
    ...exportOf("a log with records that was never opened", [
      main,
      small,
      cosigned(rootOf([[opened(smallOrigin)]], at + 120_000)),
    ]),
    named: ["s0-2026h2"],
  },
  badRoot("a root log of another's history, cosigned", [
    [opened(origin), leafOf(afterFrame(main, 0)), leafOf(afterFrame(main, 0))],
  ]),
  badRoot("a log that begins with records in the root log", [
    [opened(smallOrigin), leafOf(afterFrame(main, 0))],
  ]),
  badRoot("a log opened twice", [[opened(origin), opened(origin)]]),
  badRoot("a log that shrinks in the root log", [
    [opened(origin), leafOf(afterFrame(main, 1)), leafOf(afterFrame(main, 0))],
  ]),
  badRoot("a log that grows without a frame", [
    [
      opened(origin),
      leafOf(afterFrame(main, 1)),
      leafOf({ ...afterFrame(main, 1), size: afterFrame(main, 2).size }),
    ],
  ]),
  badRoot("a log of another ledger in the root log", [[opened(origin), opened("other.test/s0-2026h2")]]),
  badRoot("the root log in the root log", [[opened(origin), opened("ledger.test/root")]]),
  badRoot("a record in the root log", [[opened(origin), main.leaves[2] ?? new Uint8Array()]]),
  badRoot("a leaf of two signatures", [
    [opened(origin), utf8(`${foreignText}${foreignText.split("\n\n")[1]}`)],
  ]),
  badRoot("a leaf with a wrong signature", [[opened(origin), utf8(foreignText.replace("\n8\n", "\n9\n"))]]),
  { ...exportOf("a replaced key, without the key before it", afterChange()), named: leavesOfOldKey },
  {
    ...exportOf("a replaced key, and another ledger's key before it", afterChange({ publicKey })),
    named: leavesOfOldKey,
  },
  {
    ...endedFor("a later root log that a thief of the ended key signed", [
      mainAfter,
      smallAfter,
      underOldKey(root),
    ]),
    named: ["root/checkpoint"],
  },
  {
    ...endedFor("a later log that a thief of the ended key signed", [
      underOldKey(main),
      smallAfter,
      rootAfter,
    ]),
    named: ["s0-2026h2/checkpoint"],
  },
  {
    ...endedFor("a leaf of the root log that an ended key signed after its end", [
      mainAfter,
      smallAfter,
      lateLeaf,
    ]),
    named: ["root/frame/2", "root/tile/entries/000.p/7"],
  },
  bad("a root log without its witness", ["root/checkpoint"], [main, small, root]),
  bad(
    "a cosignature of an earlier checkpoint",
    ["root/checkpoint"],
    [main, small, cosigned(root, textOf(rootOf([opening, middle])))],
  ),
  bad(
    "a cosignature of another time",
    ["root/checkpoint"],
    [main, small, cosigned(root, textOf(root), 1_790_000_000, 1_790_000_010)],
  ),
  bad(
    "a wrong cosignature beside a right one",
    ["root/checkpoint"],
    [main, small, cosigned(cosigned(root), textOf(root), 1_790_000_000, 1_790_000_010)],
  ),
];
