import type { AppendName } from "../ledger/events.ts";
import type { Sizes } from "../ledger/sizes.ts";
import { simulateCommits } from "./group-commit.ts";
import { measured } from "./measured.ts";
import { monthSeconds, monthsKept, objectGigabytes, prices } from "./prices.ts";

/** Requests of one kind per second, equally over a number of shards. */
export interface Load {
  readonly perSecond: number;
  readonly shards: number;
}

/** The appends of each kind of request. */
export const requestKinds = {
  read: ["read"],
  search: ["search"],
  list: ["list"],
  write: ["intent", "written"],
} as const satisfies Record<string, readonly AppendName[]>;
export type RequestKind = keyof typeof requestKinds;

/**
 * An assumption: a commit on Cloudflare was never measured. A line store's answer is assumed to take as long.
 */
export const commitMilliseconds = 10;
/** CPU of an append in the shard. */
export const appendMilliseconds = 0.3;

/** Rules of the ledger's own code; a test compares them with it. */
export const ledgerRules = {
  flushSeconds: 45,
  flushBytes: 8_388_608,
  drainRows: 4_096,
  drainBytes: 2_097_152,
  drainCalls: 600,
  callsAtOnce: 6,
  shelvesAtOnce: 64,
  intakeBytes: 8_388_608,
  intakeParts: 8,
  backlogSeconds: 1,
  handOverSeconds: 10,
  shareMilliseconds: 600,
} as const;
const { flushSeconds, flushBytes, drainRows, drainBytes, shelvesAtOnce, intakeBytes, intakeParts } =
  ledgerRules;
export const shelves = 4_096; // 12 bits of the subject key
export const intakes = 64; // by its first 6
const bundleLeaves = 256;
const rowsPerFlush = 3; // planned, done, and which range was copied
const retainedBytes = 256e6; // size of the newest frames, which stay in the shard
const witnesses = 2;

/** Dollars for a million requests, by item. */
export type Cost = Readonly<Record<CostItem, number>>;
export const costItems = [
  "object requests",
  "rows: frames",
  "rows: accounting lines",
  "rows: tiles, flushes",
  "duration",
  "R2 writes and reads",
  "R2 storage: bundles, tiles",
  "R2 storage: frame copies",
  "shelf storage",
  "shard storage",
  "root log",
] as const;
export type CostItem = (typeof costItems)[number];

/**
 * The data that one request of a kind leaves in the ledger, and how often a shard performs the work that it
 * shares among many requests.
 */
export interface Flow {
  readonly appends: number;
  readonly leaves: number;
  readonly leafBytes: number;
  readonly lines: number;
  readonly appendsPerCommit: number;
  readonly commits: number;
  /** Bytes that frames add to their leaves. */
  readonly overheadBytes: number;
  readonly flushes: number;
  /** Calls of the shard, and calls by which intakes pass lines on. */
  readonly drainCalls: number;
  readonly passCalls: number;
  /** Rows of intakes, written and deleted. */
  readonly intakeRows: number;
  /** Lines that one pass over the waiting rows moves to their stores. */
  readonly linesAtOnce: number;
  readonly perShard: number; // requests a second
}

export function flowOf(kind: RequestKind, { perSecond, shards }: Load, sizes: Sizes): Flow {
  const names: readonly AppendName[] = requestKinds[kind];
  const sum = (of: (size: Sizes["appends"][AppendName]) => number) =>
    names.reduce((total, name) => total + of(sizes.appends[name]), 0);
  const [leaves, leafBytes, lines, lineBytes] = [
    sum((size) => size.records),
    sum((size) => size.leafBytes),
    sum((size) => size.lines),
    sum((size) => size.lineBytes),
  ];
  const perShard = perSecond / shards;
  const { appendsPerCommit } = simulateCommits(
    perShard * names.length,
    commitMilliseconds,
    appendMilliseconds,
  );
  const commits = names.length / appendsPerCommit;
  const overheadBytes = commits * (sizes.frameOverhead[1] ?? 0) + leaves * 2;
  const flushesPerSecond = Math.max(1 / flushSeconds, (perShard * (leafBytes + overheadBytes)) / flushBytes);
  const linesAtOnce = Math.min(
    (perShard * lines) / flushesPerSecond,
    (drainRows * lines) / commits,
    (drainBytes * lines) / lineBytes,
  );
  return {
    appends: names.length,
    leaves,
    leafBytes,
    lines,
    appendsPerCommit,
    commits,
    overheadBytes,
    flushes: flushesPerSecond / perShard,
    linesAtOnce,
    ...(lines === 0 ? { drainCalls: 0, passCalls: 0, intakeRows: 0 } : drainOf(lines, linesAtOnce)),
    perShard,
  };
}

/**
 * The expected number of objects, out of `objects`, that get at least one of `lines` lines of different
 * patients.
 */
const met = (objects: number, lines: number): number => objects * (1 - (1 - 1 / objects) ** lines);

/**
 * Lines for few stores go there directly. All remaining lines go to the intakes, which pass on their fullest
 * part when they are full.
 */
function drainOf(lines: number, atOnce: number): Pick<Flow, "drainCalls" | "passCalls" | "intakeRows"> {
  const direct = met(shelves, atOnce);
  if (direct <= shelvesAtOnce) return { drainCalls: (lines * direct) / atOnce, passCalls: 0, intakeRows: 0 };
  const calls = met(intakes, atOnce);
  const linesPassed = intakeBytes / intakeParts / measured.intakeBytesPerLine;
  const shelvesOfPart = shelves / intakes / intakeParts;
  return {
    drainCalls: (lines * calls) / atOnce,
    passCalls: (lines * shelvesOfPart) / linesPassed,
    intakeRows: (lines * 2 * calls * met(intakeParts, atOnce / calls)) / atOnce,
  };
}

/** The interval in seconds at which a log's checkpoint is handed to the root log. */
export const handOverSeconds = (shards: number): number =>
  Math.max(ledgerRules.handOverSeconds, (shards * ledgerRules.shareMilliseconds) / 1_000);

export function costOf(kind: RequestKind, load: Load, sizes: Sizes): Cost {
  const flow = flowOf(kind, load, sizes);
  const { leaves, leafBytes, lines, commits, flushes, drainCalls, passCalls, intakeRows, perShard } = flow;
  const shelfCalls = drainCalls + passCalls;
  const handOvers = 1 / (perShard * handOverSeconds(load.shards));
  const frames = commits * 2 * measured.rowsPerFrame; // written, and deleted after the copy
  const lineRows = lines === 0 ? 0 : commits * (measured.rowsPerLinesRow + measured.rowsPerDrainedFrame);
  const stored = (bytes: number, price: number) => (bytes / 1e9) * 1e6 * price * monthsKept;
  const calls = flow.appends + shelfCalls + flushes + handOvers;
  const gigabyteSeconds = objectGigabytes * (1 / perShard + (shelfCalls * commitMilliseconds) / 1_000);
  return {
    "object requests": calls * prices.objectRequests,
    "rows: frames": frames * prices.rowsWritten,
    "rows: accounting lines":
      (lineRows + intakeRows + lines * measured.rowsPerShelvedLine) * prices.rowsWritten,
    "rows: tiles, flushes": ((2 * leaves) / bundleLeaves + flushes * rowsPerFlush) * prices.rowsWritten,
    duration: gigabyteSeconds * prices.objectDuration,
    "R2 writes and reads":
      ((2 * leaves) / bundleLeaves + leaves / bundleLeaves ** 2 + 2 * flushes) * prices.bucketWrites +
      flushes * prices.bucketReads,
    "R2 storage: bundles, tiles": stored(
      leafBytes + leaves * (2 + 32 * (1 + 1 / bundleLeaves)),
      prices.bucketStorage,
    ),
    "R2 storage: frame copies": stored(leafBytes + flow.overheadBytes, prices.bucketStorage),
    "shelf storage": stored(lines * measured.storedBytesPerLine, prices.objectStorage),
    "shard storage": ((retainedBytes / 1e9) * prices.objectStorage) / ((perShard * monthSeconds) / 1e6),
    "root log": rootLogMonth(load.shards, sizes) / ((load.perSecond * monthSeconds) / 1e6),
  };
}

export const total = (cost: Cost): number => costItems.reduce((sum, item) => sum + cost[item], 0);

/** The monthly cost of the root log, for any number of requests. */
function rootLogMonth(shards: number, { rootLeafBytes }: Sizes): number {
  const handOvers = shards / handOverSeconds(shards);
  const frames = Math.min(handOvers, 1 / ledgerRules.handOverSeconds);
  // One more row: frames are deleted once they are copied.
  const rows = handOvers * measured.rowsPerHandOver + frames * (measured.rowsPerRootFrame + 1 + witnesses);
  const calls = handOvers + frames;
  const writes = 2 * frames + (2 * handOvers) / bundleLeaves;
  const each =
    (rows * prices.rowsWritten +
      calls * prices.objectRequests +
      writes * prices.bucketWrites +
      frames * prices.bucketReads +
      objectGigabytes * prices.objectDuration) /
    1e6;
  const stored =
    ((handOvers * monthSeconds * (rootLeafBytes + 2) * 2) / 1e9) * prices.bucketStorage * monthsKept;
  return each * monthSeconds + stored;
}
