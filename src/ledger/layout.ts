import { largest } from "#kernel/largest";
import { isRegion, type Region } from "#kernel/region";
import { err, ok, type Result } from "#kernel/result";
import { parseLogName, placeOfShard } from "./log-name.ts";

/** Consecutive shards: `first`, `first` + 1, … */
export interface ShardRange {
  readonly first: number;
  readonly count: number; // ≥ 1
}

/** The shards of a region. */
export interface RegionShards extends ShardRange {
  readonly region: Region;
}

interface LayoutPeriod {
  /** The first half-year of the period; "" for a ledger that had regions from its beginning. */
  readonly from: string;
  readonly regions: readonly RegionShards[];
}

/** The shards of a ledger, and their regions in each half-year. */
export interface LedgerLayout {
  readonly shards: number; // ≥ 1, the most of any period
  /** In the order of time. A half-year before the first period has no regions. */
  readonly periods: readonly LayoutPeriod[];
}

/** A layout in which no shard has a region. */
export const layoutWithoutRegions = (shards: number): LedgerLayout => ({ shards, periods: [] });

/**
 * Reads `LEDGER_REGIONS`: periods separated by `;`, each with its first half-year and its regions in the order
 * of the shards, for example `weur:3 enam:1` or `weur:4; 2027h1 weur:2 enam:2`. Only the first period may
 * lack a half-year. An empty text has no regions. A period may have fewer shards than a further period, so that
 * the number of shards changes with a half-year too. The error says the expected value.
 */
export function readLayout(text: string, shards: number): Result<LedgerLayout, string> {
  if (text.trim() === "") return ok(layoutWithoutRegions(shards));
  const periods: LayoutPeriod[] = [];
  for (const [i, period] of text.split(";").entries()) {
    const words = period.trim().split(/\s+/u);
    const from = /^\d{4}h[12]$/u.test(words[0] ?? "") ? (words.shift() ?? "") : "";
    if (from === "" && i > 0)
      return err("each period after the first begins with its half-year, like 2027h1");
    if (from <= (periods.at(-1)?.from ?? "") && i > 0) return err("periods in the order of time");
    const regions = readRegions(words);
    if (!regions.ok) return regions;
    periods.push({ from, regions: regions.value });
  }
  const most = largest(periods.map(({ regions }) => sumOf(regions)));
  return most === shards && periods.every(({ regions }) => regions.length > 0)
    ? ok({ shards, periods })
    : err("numbers of shards that sum to LEDGER_SHARDS in each period, or in the period with the most");
}

function readRegions(words: readonly string[]): Result<readonly RegionShards[], string> {
  const regions: RegionShards[] = [];
  let first = 0;
  for (const word of words) {
    const [, region = "", digits = ""] = /^([a-z-]+):([1-9]\d{0,4})$/u.exec(word) ?? [];
    if (digits === "") return err("a location hint and its number of shards, like weur:2");
    if (!isRegion(region)) return err("location hints of Durable Objects only");
    if (regions.some((earlier) => earlier.region === region)) return err("each region once in a period");
    regions.push({ region, first, count: Number(digits) });
    first += Number(digits);
  }
  return ok(regions);
}

const sumOf = (regions: readonly RegionShards[]): number =>
  regions.reduce((sum, { count }) => sum + count, 0);

/** The regions of a half-year; empty when its shards have none. */
export const regionsIn = ({ periods }: LedgerLayout, halfYear: string): readonly RegionShards[] =>
  periods.findLast(({ from }) => from <= halfYear)?.regions ?? [];

/** The number of shards that take records in a half-year. */
export function shardsIn(layout: LedgerLayout, halfYear: string): number {
  const regions = regionsIn(layout, halfYear);
  return regions.length === 0 ? layout.shards : sumOf(regions);
}

/**
 * The part of a layout that decides the log of a key in a half-year, as a text: the shards of each region in
 * their order, or the number of all shards if there are not two regions to choose from. Two layouts have the same
 * text exactly when they choose the same log for every key.
 */
export function keyLayout(layout: LedgerLayout, halfYear: string): string {
  const regions = regionsIn(layout, halfYear);
  return regions.length < 2
    ? String(shardsIn(layout, halfYear))
    : regions.map(({ region, count }) => `${region}:${count}`).join(" ");
}

/** The regions that `LEDGER_REGIONS` names, in any period. */
export const namedRegions = (text: string): ReadonlySet<string> =>
  new Set(Array.from(text.matchAll(/(?<region>[a-z-]+):/gu), ({ groups }) => groups?.["region"] ?? ""));

/**
 * The region in which a log is first placed. The root log, the only log without a shard, is next to the
 * ledger's first shard: logs call it when they open and in the background. Undefined: near its first caller.
 */
export function regionOfLog(log: string, layout: LedgerLayout): Region | undefined {
  const name = parseLogName(log);
  if (name === undefined) return layout.periods[0]?.regions[0]?.region;
  const { halfYear } = name;
  const shard = placeOfShard(name.shard);
  return regionsIn(layout, halfYear).find(({ first, count }) => shard >= first && shard < first + count)
    ?.region;
}
