import { registryLimits } from "#platform/registry/registry-limits";
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

/** The shards are as many as keep each below this: the middle of what Cloudflare's documentation says of an object that writes. */
const perShardBudget = 400;
/** A Durable Object holds so much (Cloudflare's limits). */
const objectBytes = 10e9;
// Each client is taken to ask so often; its guard reads the revocations every two seconds, for one issuer.
const perClient = 100;
export const guardReadSeconds = 2;
// And to meet so many isolates, each of which reads it again every five seconds in one batch (registry-limits, client-directory).
const isolatesPerClient = 10;
const refreshSeconds = registryLimits.freshMilliseconds / 1_000;
const queriesPerClient = 6;
const { callsAtOnce, drainCalls, backlogSeconds } = ledgerRules;

/** What each part of the ledger meets at a rate of requests that each read one record of one patient. */
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
  /** Until the shelves are full, in days. */
  readonly shelfDays: number;
  readonly revocationReads: number; // a second, of one object
  /** A second, of one database, when each client meets so many isolates. */
  readonly registryQueries: number;
  /** Calls that one patient's accounting makes, and how long they take six at a time. */
  readonly accountingCalls: number;
  readonly accountingSeconds: number;
  /** Cores that verify everything as it comes. */
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
    registryQueries: ((perSecond / perClient) * isolatesPerClient * queriesPerClient) / refreshSeconds,
    accountingCalls: shards + 2,
    accountingSeconds: (Math.ceil(shards / callsAtOnce) * commitMilliseconds) / 1_000,
    verifyCores: (perSecond * leaves * measured.verifyMilliseconds) / 1e6,
  };
}

/** All lines that all shelves hold. */
const shelfLines = (shelves * objectBytes) / measured.storedBytesPerLine;

/** Lines a second, for ever, that shelves of six years hold: they go half a year after the six. */
export const sustainedLines = shelfLines / ((monthsKept + 6) * monthSeconds);

/**
 * Reads a second on one shard, and the lines that its alarms take to their shelves meanwhile: so many calls an alarm, six at a time, and a
 * second until the next. A shard whose lines are more falls behind.
 */
export function drainAt(
  perShard: number,
  sizes: Sizes,
): { readonly flow: Flow; readonly linesPerSecond: number } {
  const flow = flowOf("read", { perSecond: perShard, shards: 1 }, sizes);
  const seconds = (drainCalls / callsAtOnce) * (commitMilliseconds / 1_000) + backlogSeconds;
  return { flow, linesPerSecond: drainCalls / (flow.drainCalls / flow.lines) / seconds };
}
