import { appendNames, appendsSaid } from "../ledger/events.ts";
import type { Sizes } from "../ledger/sizes.ts";
import { row } from "../text-table.ts";
import { type Ceiling, ceilingAt, drainAt, sustainedLines } from "./ceilings.ts";
import {
  commitMilliseconds,
  appendMilliseconds,
  costItems,
  costOf,
  flowOf,
  type Load,
  requestKinds,
  type RequestKind,
  total,
} from "./cost.ts";
import { beforeAndAfter, cities, nearAndFar, requestRounds, roundTrip } from "./latency.ts";
import { simulateCommits } from "./group-commit.ts";
import { simulateBalance } from "./shard-balance.ts";

type Table = readonly (readonly string[])[];

const kinds = Object.keys(requestKinds) as RequestKind[]; // the members of that table
const loads: readonly Load[] = [
  { perSecond: 1, shards: 1 },
  { perSecond: 20, shards: 1 },
  { perSecond: 200, shards: 1 },
  { perSecond: 400, shards: 1 },
  { perSecond: 4_000, shards: 10 },
  { perSecond: 40_000, shards: 100 },
];
const detailed: Load = { perSecond: 4_000, shards: 10 };
const rates = [400, 4_000, 40_000, 100_000, 400_000, 1_000_000];

/** Every table of docs/scale.md and bench/scale.md, in their order; a test compares them with the pages. */
export function scaleTables(sizes: Sizes): readonly Table[] {
  return [
    sizeTable(sizes),
    costTable(sizes),
    costItemTable(sizes),
    commitTable(),
    balanceTable(),
    drainTable(sizes),
    ceilingTable(sizes),
    ...latencyTables(),
  ];
}

export const asMarkdown = ([head = [], ...rows]: Table): string => {
  const delimiters = head.map((_, i) => (i === 0 ? "---" : "---:"));
  return [head, delimiters, ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
};

const milliseconds = (value: number): string => value.toFixed(0);
const change = ([before = NaN, after = NaN]: readonly number[]): string =>
  `${milliseconds(before)} → ${milliseconds(after)}`;

const latencyTables = (): readonly Table[] => [
  [
    ["answer", "waits for, one after the other"],
    ...Object.entries(requestRounds).map(([kind, rounds]) => [
      kind,
      rounds.map((calls) => calls.join(" and ")).join(", "),
    ]),
  ],
  [
    ["", ...cities],
    ...cities.map((a) =>
      row(
        a,
        cities.map((b) => milliseconds(roundTrip(a, b))),
      ),
    ),
  ],
  [
    [
      "origin, shard, guard",
      "read",
      "read that waits for its guard",
      "write",
      "read, recorded beside the origin",
    ],
    ...nearAndFar().map(({ places: { origin, ledger, guard }, read, withGuard, write, beside }) =>
      row(
        [origin, ledger, guard].map((city) => (city === "Frankfurt" ? "near" : "far")).join(", "),
        [read, withGuard, write, beside].map(milliseconds),
      ),
    ),
  ],
  [
    [
      "client in",
      "its shard then",
      "read, origin near",
      "read, origin in Ashburn",
      "write, origin near",
      "first read of an isolate",
    ],
    ...beforeAndAfter().map(({ edge, shard, readHere, readFar, writeHere, firstHere }) =>
      row(edge, [shard, change(readHere), change(readFar), change(writeHere), change(firstHere)]),
    ),
  ],
];

const sizeTable = ({ appends }: Sizes): Table => [
  ["append", "as JSON", "as CBOR", "records", "leaf bytes", "lines", "line bytes"],
  ...appendNames.map((name) => {
    const { jsonBytes, plaintextBytes, records, leafBytes, lines, lineBytes } = appends[name];
    return row(
      `\`${name}\`: ${appendsSaid[name]}`,
      [jsonBytes, plaintextBytes, records, leafBytes, lines, lineBytes].map(String),
    );
  }),
];

const costTable = (sizes: Sizes): Table => [
  ["requests each second, shards", ...kinds, "read: appends in a commit"],
  ...loads.map((load) => {
    const dollarsOf = kinds.map((kind) => dollars(total(costOf(kind, load, sizes))));
    const atOnce = flowOf("read", load, sizes).appendsPerCommit.toFixed(1);
    return row(`${count(load.perSecond)} on ${load.shards}`, dollarsOf.concat(atOnce));
  }),
];

const costItemTable = (sizes: Sizes): Table => {
  const costs = kinds.map((kind) => costOf(kind, detailed, sizes));
  const items = costItems.map((item) =>
    row(
      item,
      costs.map((cost) => dollars(cost[item])),
    ),
  );
  const all = row(
    "all",
    costs.map((cost) => dollars(total(cost))),
  );
  return [[`${count(detailed.perSecond)} on ${detailed.shards}`, ...kinds], ...items, all];
};

const commitTimes = [3, commitMilliseconds, 30];
const commitTable = (): Table => [
  ["appends each second", ...commitTimes.map((took) => `a commit takes ${took} ms`)],
  ...[1, 50, 200, 400, 1_000, 2_000].map((perSecond) =>
    row(
      count(perSecond),
      commitTimes.map((took) => {
        const { appendsPerCommit, p50Milliseconds, p99Milliseconds } = simulateCommits(
          perSecond,
          took,
          appendMilliseconds,
        );
        return `${appendsPerCommit.toFixed(1)} (${p50Milliseconds.toFixed(0)} / ${p99Milliseconds.toFixed(0)})`;
      }),
    ),
  ),
];

const spreads = [2, 4, 8];
const populations = [
  [2_000, 0.5, 10],
  [2_000, 1, 10],
  [2_000, 0.5, 100],
  [2_000, 1, 100],
  [2_000, 1, 1_000],
] as const;
const balanceTable = (): Table => [
  ["clients, skew, shards", "largest client", ...spreads.map((spread) => `spread ${spread}`)],
  ...populations.map(([clients, skew, shards]) => {
    const found = spreads.map((spread) => simulateBalance(clients, skew, shards, spread));
    const peaks = found.map(({ peak }) => peak.toFixed(1));
    return row(
      `${count(clients)}, 1/rank^${skew}, ${count(shards)}`,
      [percent(found[0]?.largestClient ?? Number.NaN)].concat(peaks),
    );
  }),
];

const drainTable = (sizes: Sizes): Table => [
  [
    "reads each second on one shard",
    "lines taken at once",
    "calls for each line",
    "lines drained each second",
  ],
  ...[50, 100, 200, 300, 400, 1_000].map((perShard) => {
    const { flow, linesPerSecond } = drainAt(perShard, sizes);
    return row(count(perShard), [
      count(flow.linesAtOnce),
      (flow.drainCalls / flow.lines).toFixed(3),
      count(linesPerSecond),
    ]);
  }),
];

const ceilingTable = (sizes: Sizes): Table => {
  const found = rates.map((rate) => ceilingAt(rate, sizes));
  const each = (name: string, of: (one: Ceiling) => string) => row(name, found.map(of));
  return [
    ["reads each second", ...rates.map(count)],
    each("shards at 400 each", ({ shards }) => count(shards)),
    each(
      "a log's checkpoint stands in the root log every",
      ({ handOverSeconds }) => `${count(handOverSeconds)} s`,
    ),
    each("leaves of the root log each second", ({ rootLeavesPerSecond }) => rootLeavesPerSecond.toFixed(1)),
    each("R2 writes each second", ({ bucketWritesPerSecond }) => count(bucketWritesPerSecond)),
    each("R2, TB a year", ({ bucketTerabytesPerYear }) => count(bucketTerabytesPerYear)),
    each("lines for each shelf, each second", ({ linesPerShelf }) => small(linesPerShelf)),
    each("calls of each intake, each second", ({ callsPerIntake }) => small(callsPerIntake)),
    each("calls of each shelf, each second", ({ callsPerShelf }) => small(callsPerShelf)),
    each("days until the shelves are full", ({ shelfDays }) =>
      shelfDays >= 10 ? count(shelfDays) : small(shelfDays),
    ),
    each("reads of `Revocations` each second", ({ revocationReads }) => count(revocationReads)),
    each("queries of D1 each second", ({ registryQueries }) => count(registryQueries)),
    each("calls of shards for one accounting", ({ accountingCalls }) => count(accountingCalls)),
    each("which take, six at a time", ({ accountingSeconds }) => `${accountingSeconds.toFixed(2)} s`),
    each("cores that verify as it comes", ({ verifyCores }) => small(verifyCores)),
  ];
};

/** Disclosures a second that the line stores take for their six years. */
export const sustained = count(sustainedLines);

function count(value: number): string {
  return Math.round(value).toLocaleString("en-US");
}
const small = (value: number): string => (value >= 10 ? count(value) : value.toPrecision(2));
const dollars = (value: number): string => (value >= 0.1 ? value.toFixed(2) : value.toPrecision(1));
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
