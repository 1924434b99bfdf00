import {
  aheadMilliseconds,
  registryLimits,
  wholeMilliseconds,
} from "#platform/registry/copies/registry-limits";
import type { Sizes } from "../ledger/sizes.ts";
import {
  commitMilliseconds,
  flowOf,
  handOverSeconds,
  intakes,
  ledgerRules,
  shelves,
  type Flow,
} from "./cost.ts";
import { measured } from "./measured.ts";
import { monthSeconds, monthsKept } from "./prices.ts";

/**
 * There are enough shards that each stays below this rate: the middle of the range that Cloudflare's
 * documentation gives for an object that writes.
 */
const perShardBudget = 400;
/** The maximum size of a Durable Object (Cloudflare's limits). */
const objectBytes = 10e9;
// Assumed requests of each client. Its guard reads the revocations every two seconds, for one issuer.
const perClient = 100;
export const guardReadSeconds = 2;
// Assumed: isolates that meet a client, and reads of an isolate each second.
const isolatesPerClient = 10;
const perIsolate = 100;
// An isolate asks each four seconds what changed in the registry: a batch of two queries (registry-reader). An isolate
// reads each of its clients as a whole each fifty seconds: a batch of seven queries (client-directory).
const changesSeconds = (registryLimits.freshMilliseconds - aheadMilliseconds) / 1_000;
const wholeSeconds = wholeMilliseconds / 1_000;
const queriesPerQuestion = 2;
const queriesPerClient = 7;
const clientsPerIsolate = (perIsolate / perClient) * isolatesPerClient;
const { callsAtOnce, drainCalls, backlogSeconds } = ledgerRules;

/** The load on each part of the ledger, at a rate of requests that each read one record of one patient. */
export interface Ceiling {
  readonly perSecond: number;
  readonly shards: number;
  readonly handOverSeconds: number;
  readonly rootLeavesPerSecond: number;
  readonly bucketWritesPerSecond: number;
  readonly bucketTerabytesPerYear: number;
  readonly linesPerShelf: number; // a second
  readonly callsPerShelf: number; // a second
  readonly callsPerIntake: number; // a second
  /** Days until the line stores are full. */
  readonly shelfDays: number;
  /** Reads of `Revocations`, a single object, a second. */
  readonly revocationReads: number;
  /** Queries of D1 a second without changes of the registry. Each change adds a reading in each isolate. */
  readonly registryQueries: number;
  /** Calls for one patient's accounting, and their duration six at a time. */
  readonly accountingCalls: number;
  readonly accountingSeconds: number;
  /** Cores that verify every leaf as it arrives. */
  readonly verifyCores: number;
}

export function ceilingAt(perSecond: number, sizes: Sizes): Ceiling {
  const shards = Math.ceil(perSecond / perShardBudget);
  const flow = flowOf("read", { perSecond, shards }, sizes);
  const { leaves, leafBytes, lines, flushes, drainCalls, passCalls, overheadBytes } = flow;
  const bytes = 2 * leafBytes + overheadBytes + leaves * 34;
  return {
    perSecond,
    shards,
    handOverSeconds: handOverSeconds(shards),
    rootLeavesPerSecond: shards / handOverSeconds(shards),
    bucketWritesPerSecond: perSecond * ((2 * leaves) / 256 + 2 * flushes),
    bucketTerabytesPerYear: (perSecond * bytes * monthSeconds * 12) / 1e12,
    linesPerShelf: (perSecond * lines) / shelves,
    callsPerShelf: (perSecond * passCalls) / shelves,
    callsPerIntake: (perSecond * drainCalls) / intakes,
    shelfDays: shelfLines / (perSecond * lines) / 86_400,
    revocationReads: perSecond / perClient / guardReadSeconds,
    registryQueries:
      (perSecond / perIsolate) *
      (queriesPerQuestion / changesSeconds + (clientsPerIsolate * queriesPerClient) / wholeSeconds),
    accountingCalls: shards + 2,
    accountingSeconds: (Math.ceil(shards / callsAtOnce) * commitMilliseconds) / 1_000,
    verifyCores: (perSecond * leaves * measured.verifyMilliseconds) / 1e6,
  };
}

/** The capacity of all line stores, in lines. */
const shelfLines = (shelves * objectBytes) / measured.storedBytesPerLine;

/**
 * The rate in lines a second that stores of six years sustain for ever: lines are deleted half a year after
 * the six.
 */
export const sustainedLines = shelfLines / ((monthsKept + 6) * monthSeconds);

/**
 * Reads a second on one shard, and the lines that its alarms move to their stores meanwhile: a number of
 * calls per alarm, six at a time, and a second until the next alarm. A shard with more lines falls behind.
 */
export function drainAt(
  perShard: number,
  sizes: Sizes,
): { readonly flow: Flow; readonly linesPerSecond: number } {
  const flow = flowOf("read", { perSecond: perShard, shards: 1 }, sizes);
  const seconds = (drainCalls / callsAtOnce) * (commitMilliseconds / 1_000) + backlogSeconds;
  return { flow, linesPerSecond: drainCalls / (flow.drainCalls / flow.lines) / seconds };
}
