import { generateKeyPairSync, sign } from "node:crypto";
import { utf8 } from "#kernel/encoded";
import { type Checkpoint, checkpointText } from "#ledger/tlog/checkpoint";
import { checkpointOf } from "#ledger/commit";
import { frameHash, parseFrame } from "#ledger/leaf/frame";
import { leafHash, rangeRoot } from "#ledger/tlog/merkle";
import { formatReceipt } from "#ledger/receipt";
import { keyId, noteOf, verifierKey, verifierText } from "#ledger/tlog/signed-note";
import { keysText } from "../../cli/log/ledger-folder.ts";
import { logOfFrames, origin, type SampleLog, sampleLog, signed } from "./sample-log.ts";

/** An exported folder as a verifier gets it, with the evidence that he has from elsewhere. */
export interface Export {
  readonly name: string;
  readonly files: ReadonlyMap<string, Uint8Array>; // by path below the folder
  readonly keys: readonly string[]; // verifier keys from outside
  readonly since?: readonly Uint8Array[];
  readonly receipts?: readonly string[];
  readonly witnesses?: readonly string[]; // their verifier keys
}

/** `named`: the findings must name one of these objects. */
export interface Tampered extends Export {
  readonly named: readonly string[];
}

const [s0, s1] = ["s0-2026h2", "s1-2026h2"] as const;
/** Two full tiles, every partial tile, two full bundles; and a small log of a second shard. */
export const large = await sampleLog([250, 200, 100]);
export const small = await sampleLog([3, 1, 2, 2, 2], { of: `ledger.test/${s1}` });
const stranger = await sampleLog([250, 200, 100]); // equal shape and name, but different records

export const keyOf = ({ verifier }: SampleLog): string => verifierText(verifier);
const checkpointIn = (log: SampleLog): Uint8Array => log.objects.get("checkpoint") ?? new Uint8Array();

/** The files that `phylax ledger export` would write for these logs. */
export function exportOf(name: string, logs: readonly SampleLog[] = [large, small]): Export {
  const files = new Map([["keys", utf8(keysText(logs.map((log) => log.verifier)))]]);
  for (const log of logs) {
    const folder = log.verifier.name.slice(log.verifier.name.lastIndexOf("/") + 1);
    for (const [path, bytes] of log.objects) files.set(`${folder}/${path}`, bytes);
  }
  return { name, files, keys: logs.map(keyOf) };
}

const whole = exportOf("whole");
const bytesOf = (path: string): Uint8Array => whole.files.get(path) ?? new Uint8Array();

/** The whole export with some files changed, removed (undefined), or added. */
function changed(
  name: string,
  changes: Readonly<Record<string, Uint8Array | undefined>>,
  named?: readonly string[],
): Tampered {
  const files = new Map(whole.files);
  for (const [path, bytes] of Object.entries(changes)) {
    if (bytes === undefined) files.delete(path);
    else files.set(path, bytes);
  }
  return { ...whole, name, files, named: named ?? Object.keys(changes) };
}

const swapped = (one: string, two: string): Tampered =>
  changed(`${one} and ${two} swapped`, { [one]: bytesOf(two), [two]: bytesOf(one) });

/** The whole export with a log in place of the large log, made by an owner of its key. */
const instead = (
  name: string,
  log: SampleLog,
  named: readonly string[],
  evidence: Pick<Export, "since" | "receipts"> = {},
): Tampered => ({
  ...exportOf(name, [log, small]),
  ...evidence,
  named: named.map((path) => `${s0}/${path}`),
});

/** The leaves of a log by frame. */
function framesOf(log: SampleLog): (readonly Uint8Array[])[] {
  return [...log.objects]
    .filter(([path]) => path.startsWith("frame/"))
    .map(([, bytes]) => {
      const frame = parseFrame(bytes);
      if (!frame.ok) throw new Error(frame.error);
      return frame.value.leaves;
    });
}

/** The log's checkpoint after one of its frames. */
export function afterFrame(log: SampleLog, number: number): Checkpoint {
  const bytes = log.objects.get(`frame/${number}`) ?? new Uint8Array();
  const frame = parseFrame(bytes);
  if (!frame.ok) throw new Error(frame.error);
  return {
    origin: log.verifier.name,
    size: frame.value.size,
    root: rangeRoot(frame.value.range),
    frame: { number, hash: frameHash(bytes) },
  };
}

export const receiptOf = (log: SampleLog, index: number, frame: number): string =>
  formatReceipt({
    log: s0,
    index,
    leafHash: leafHash(log.leaves[index] ?? new Uint8Array()),
    frameHash: frameHash(log.objects.get(`frame/${frame}`) ?? new Uint8Array()),
  });

// A common prefix, and two different continuations.
const [opening = [], second = [], third = [], fourth = []] = framesOf(await sampleLog([3, 1, 2, 2]));
const [, secondOfStranger = []] = framesOf(await sampleLog([3, 1, 2, 2]));
const prefix = logOfFrames([opening, second]);
const fork = logOfFrames([opening, second, third]);
const otherFork = logOfFrames([opening, second, fourth]);

/** A file of keys with these lines, in this order. */
const keysOfLines = (lines: readonly string[]): Uint8Array =>
  utf8([keysText([]), ...lines.map((line) => `${line}\n`)].join(""));
const endedFirst = [large, small].map(
  (log) => `${verifierKey(log.verifier.name, new Uint8Array(32).fill(7))}@5 ${keyOf(log)}`,
);

export const good: readonly Export[] = [
  whole,
  {
    ...exportOf("a fork by itself, its prefix's checkpoint and receipts of it", [fork, small]),
    since: [checkpointIn(prefix), checkpointIn(fork), checkpointIn(small)],
    receipts: [receiptOf(fork, 1, 0), `${receiptOf(fork, 6, 2)}, later=("a" b);c;d=1.5, other;x`],
  },
  exportOf("a sealed log", [await sampleLog([250, 5], { seal: true }), small]),
  exportOf("a log without leaves", [logOfFrames([]), small]),
  {
    ...exportOf("a file of keys with a key that ended first in its line"),
    files: new Map([...whole.files, ["keys", keysOfLines(endedFirst)]]),
  },
];

const deleted = [...whole.files.keys()].map((path) => changed(`${path} deleted`, { [path]: undefined }));
const cutShort = [...whole.files.keys()].map((path) =>
  changed(`${path} cut short`, { [path]: bytesOf(path).subarray(0, -1) }),
);

const moved: readonly Tampered[] = [
  swapped(`${s0}/tile/entries/000`, `${s0}/tile/entries/001`),
  swapped(`${s0}/tile/entries/001`, `${s0}/tile/entries/002.p/40`),
  swapped(`${s0}/tile/0/000`, `${s0}/tile/0/001`),
  swapped(`${s0}/tile/0/002.p/40`, `${s0}/tile/1/000.p/2`),
  swapped(`${s0}/frame/0`, `${s0}/frame/1`),
  swapped(`${s0}/frame/1`, `${s0}/frame/2`),
  swapped(`${s0}/frame/0`, `${s1}/frame/0`),
  swapped(`${s0}/checkpoint`, `${s1}/checkpoint`),
  changed("a frame too many", { [`${s0}/frame/3`]: bytesOf(`${s0}/frame/2`) }),
  changed("a tile of another width", {
    [`${s0}/tile/0/002.p/39`]: bytesOf(`${s0}/tile/0/002.p/40`).subarray(0, -32),
  }),
  changed("a file that is nothing", { [`${s0}/note`]: utf8("hello") }),
  changed("a log of no key", { "s2-2026h2/checkpoint": checkpointIn(small) }, ["s2-2026h2"]),
  changed(
    "a newer log below an older checkpoint",
    { [`${s1}/checkpoint`]: signed(checkpointText(afterFrame(small, 2)), small.verifier.name) },
    [
      `${s1}/frame/3`,
      `${s1}/tile/0/000.p/8`, // the older size's tile, which an export of the newer size does not have
      `${s1}/tile/entries/000.p/8`,
    ],
  ),
];

const lastFrame: Record<string, undefined> = {
  [`${s0}/frame/2`]: undefined,
  [`${s0}/tile/entries/002.p/40`]: undefined,
};
const withoutSmall = new Map([...whole.files].filter(([path]) => !path.startsWith(s1)));
const lost: readonly Tampered[] = [
  changed("a truncated shard", lastFrame),
  instead("a shard cut back by its operator, against an earlier checkpoint", prefix, ["checkpoint"], {
    since: [checkpointIn(fork)],
  }),
  instead("a shard cut back by its operator, against a receipt", prefix, ["checkpoint"], {
    receipts: [receiptOf(fork, 6, 2)],
  }),
  { ...whole, name: "a hidden shard", files: withoutSmall, named: [s1] },
  {
    ...whole,
    name: "a hidden shard, its key taken from the folder too",
    files: new Map([...withoutSmall, ["keys", utf8(keysText([large.verifier]))]]),
    named: [s1],
  },
  {
    ...whole,
    name: "a shard hidden from one who has the key of another only",
    keys: [keyOf(large)],
    files: withoutSmall,
    named: [s1],
  },
];

const rewritten: readonly Tampered[] = [
  instead("a forked history", otherFork, ["frame/2"], { since: [checkpointIn(fork)] }),
  instead("a forked history, against a receipt", otherFork, ["frame/2", "tile/entries/000.p/9"], {
    receipts: [receiptOf(fork, 6, 2)],
  }),
  instead(
    "the same leaves in another frame",
    logOfFrames([[...opening, ...second]]),
    ["checkpoint", "frame/0"],
    {
      since: [checkpointIn(prefix)],
    },
  ),
  // A Durable Object was put back to an older state and grew again: its own checkpoint is good, but the
  // published checkpoint is not in its chain.
  instead(
    "a rolled-back shard that grew again",
    logOfFrames([opening, second, fourth, [nextOf(fourth)]]),
    ["frame/2"],
    {
      since: [checkpointIn(fork)],
    },
  ),
  instead("records in another order, everything made anew", logOfFrames([opening, third, second]), [
    "frame/2",
    "tile/entries/000.p/8",
  ]),
];

/**
 * A further leaf for a log that ends in these leaves. The last leaf cannot be repeated, so the new leaf
 * takes the next counter.
 */
function nextOf(frame: readonly Uint8Array[]): Uint8Array {
  const leaf = Uint8Array.from(frame.at(-1) ?? []);
  leaf[13] = (leaf[13] ?? 0) + 1;
  return leaf;
}

const leafOfStranger = stranger.leaves[300] ?? new Uint8Array();
const frameWithStranger = (): Uint8Array => {
  const bytes = Uint8Array.from(bytesOf(`${s0}/frame/1`));
  const own = large.leaves[300] ?? new Uint8Array();
  bytes.set(leafOfStranger, Buffer.from(bytes).indexOf(own));
  return bytes;
};
const bundleWithStranger = (): Uint8Array => {
  const bytes = Uint8Array.from(bytesOf(`${s0}/tile/entries/001`));
  bytes.set(leafOfStranger, Buffer.from(bytes).indexOf(large.leaves[300] ?? new Uint8Array()));
  return bytes;
};
const [openOfSmall = new Uint8Array(), epochOfSmall = new Uint8Array()] = small.leaves;
const foreign: readonly Tampered[] = [
  changed("another log's record in a bundle", { [`${s0}/tile/entries/001`]: bundleWithStranger() }),
  changed("another log's record in a frame", { [`${s0}/frame/1`]: frameWithStranger() }),
  changed("another log's record in frame and bundle", {
    [`${s0}/frame/1`]: frameWithStranger(),
    [`${s0}/tile/entries/001`]: bundleWithStranger(),
  }),
  instead(
    "another log's first leaf, everything made anew",
    logOfFrames([[openOfSmall, ...opening.slice(1)]]),
    ["frame/0", "tile/entries/000.p/5"],
  ),
  instead(
    "another log's key epoch, everything made anew",
    logOfFrames([[...opening.slice(0, 1), epochOfSmall, ...opening.slice(2)]]),
    ["frame/0", "tile/entries/000.p/5"],
  ),
  instead(
    "another log's record with everything made anew, against an earlier checkpoint",
    logOfFrames([opening, secondOfStranger, third]),
    ["frame/1"],
    { since: [checkpointIn(prefix)] },
  ),
];

const other = generateKeyPairSync("ed25519");
const otherPublic = new Uint8Array(
  Buffer.from(String(other.publicKey.export({ format: "jwk" }).x), "base64url"),
);
/**
 * The large log's checkpoint signed by a different key, under that key's id or, falsely, under the log's own
 * id.
 */
function byAnotherKey(id: number): Uint8Array {
  const text = checkpointText(checkpointOf(large.head));
  return utf8(
    noteOf(
      text,
      { name: origin, id, publicKey: otherPublic },
      new Uint8Array(sign(null, utf8(text), other.privateKey)),
    ),
  );
}
const text = checkpointText(checkpointOf(large.head));
const checkpoint = `${s0}/checkpoint`;
const checkpoints: readonly Tampered[] = [
  changed("a checkpoint of another key", { [checkpoint]: byAnotherKey(keyId(origin, otherPublic)) }),
  changed("a checkpoint of another key under the id of the log's", {
    [checkpoint]: byAnotherKey(large.verifier.id),
  }),
  changed("a checkpoint with another origin line", { [checkpoint]: signed(text.replace("s0-", "s1-")) }),
  changed("a checkpoint under another key name", { [checkpoint]: signed(text, `ledger.test/${s1}`) }),
  changed("a checkpoint of another size", { [checkpoint]: signed(text.replace("\n552\n", "\n551\n")) }, [
    checkpoint,
    `${s0}/tile/entries/002.p/39`,
    `${s0}/frame/2`,
  ]),
  changed("a checkpoint without its frame line", { [checkpoint]: signed(text.replace(/frame .*\n/, "")) }),
  changed("a checkpoint of another root", {
    [checkpoint]: signed(checkpointText({ ...checkpointOf(large.head), root: new Uint8Array(32) })),
  }),
  instead("no log at all in place of one that was", logOfFrames([]), ["checkpoint"], {
    since: [checkpointIn(large)],
  }),
];
const keysChanged: readonly Tampered[] = [
  changed("lines of keys that are not sorted", { keys: keysOfLines(endedFirst.toReversed()) }),
  changed("a line of keys twice", { keys: keysOfLines([...whole.keys, ...whole.keys].sort()) }),
  changed("a key of the folder exchanged", {
    keys: utf8(keysText([{ ...large.verifier, publicKey: otherPublic }, small.verifier])),
  }),
  {
    ...whole,
    name: "a folder made with keys of its own",
    keys: [verifierKey(origin, otherPublic), keyOf(small)],
    named: [checkpoint, "keys"],
  },
];

export const tampered: readonly Tampered[] = [
  ...deleted,
  ...cutShort,
  ...moved,
  ...lost,
  ...rewritten,
  ...foreign,
  ...checkpoints,
  ...keysChanged,
];
