import { row, textTable } from "../text-table.ts";
import { appendPeers } from "./asks.ts";
import { appendNames, appendsSaid } from "./events.ts";
import type { LedgerReport } from "./group.ts";
import type { AppendFigure } from "./measure.ts";

const peersSaid = {
  ledger:
    "LedgerShard.append: checked, sealed, hashed into the tree and the chain, accounting lines, group commit",
  row: "a Durable Object that INSERTs the event as one plaintext JSON row",
  bare: "a Durable Object that takes the same call and stores nothing",
  r2: "one create of an R2 object for each event (Miniflare's R2, in the same process)",
} as const;

/** The group's tables for people. */
export function ledgerTables(found: LedgerReport): readonly string[] {
  const appends = Map.groupBy(found.appends, ({ append }) => append);
  const legend = appendPeers.map((peer) => `  ${peer}: ${peersSaid[peer]}`).join("\n");
  return [
    ...[...appends].map(
      ([append, figures]) => `ledger, ${append}: ${appendsSaid[append]}\n${appendTable(figures)}`,
    ),
    legend,
    afterTable(found),
    sizeTable(found),
    countTable(found),
  ];
}

function appendTable(figures: readonly AppendFigure[]): string {
  const head = ["", "appends/s", "× row", "CPU µs", "× row", "less bare", "p50 ms", "p99 ms", "leaves/frame"];
  const rows = figures.map((figure) => {
    const of = (peer: string) =>
      figures.find((other) => other.peer === peer && other.callers === figure.callers);
    const [plain, bare] = [of("row"), of("bare")];
    return [
      `${figure.peer} @${figure.callers}`,
      figure.appendsPerSecond.toFixed(0),
      ratio(figure.appendsPerSecond, plain?.appendsPerSecond),
      figure.cpuMicrosPerAppend.toFixed(0),
      ratio(figure.cpuMicrosPerAppend, plain?.cpuMicrosPerAppend),
      (figure.cpuMicrosPerAppend - (bare?.cpuMicrosPerAppend ?? Number.NaN)).toFixed(0),
      whole(figure.p50Milliseconds),
      whole(figure.p99Milliseconds),
      figure.leavesPerFrame?.toFixed(1) ?? "",
    ];
  });
  return textTable([head, ...rows]);
}

function afterTable({ afterwards, verification, served }: LedgerReport): string {
  const perThousand = [
    ["copying to R2", afterwards.copy],
    ["draining accounting lines, one a leaf", afterwards.drain],
    ["phylax ledger export", verification.export],
    ["phylax ledger verify DIR", verification.verify],
    ["scripts/verify-ledger.py DIR", verification.python],
  ] as const;
  const off = textTable([
    ["off the append path", "CPU ms for each 1,000 leaves"],
    ...perThousand.map(([what, micros]) => [
      what,
      micros === null ? "no Python" : (micros / 1_000).toFixed(1),
    ]),
  ]);
  const shown = textTable([
    ["served to 16 callers", "each second", "CPU µs"],
    ...served.map(({ what, perSecond, cpuMicrosEach }) => [
      what,
      perSecond.toFixed(0),
      cpuMicrosEach.toFixed(0),
    ]),
  ]);
  return `${off}\n\n${shown}`;
}

function sizeTable({ sizes }: LedgerReport): string {
  const head = ["bytes of an append", "as JSON", "as CBOR", "leaves", "of leaves", "lines", "of lines"];
  const rows = appendNames.map((name) => {
    const { records, jsonBytes, plaintextBytes, leafBytes, lines, lineBytes } = sizes.appends[name];
    return row(name, [jsonBytes, plaintextBytes, records, leafBytes, lines, lineBytes].map(String));
  });
  const overhead = Object.entries(sizes.frameOverhead).map(([leaves, bytes]) => `${bytes} with ${leaves}`);
  const rest =
    `a frame without its leaves has ${overhead.join(", ")}; its row ${sizes.recentBytes} more for each append; ` +
    `a key epoch ${sizes.keyEpochLeafBytes}; a leaf of the root log ${sizes.rootLeafBytes}`;
  return `${textTable([head, ...rows])}\n${rest}`;
}

function countTable({ counts, shelf }: LedgerReport): string {
  const head = [
    "reads in a frame",
    "frames",
    "rows: commits",
    "rows: alarm",
    "R2 puts",
    "shelf calls",
    "shelf rows",
    "rows: root log",
  ];
  const rows = counts.map(({ perFrame, frames, appended, settled, rooted }) => {
    const {
      "shard.rows": alarm,
      "bucket.put": puts,
      "shelf.put": calls,
      "shelf.rows": shelved,
      "root.rows": handed,
    } = settled;
    const root = (handed ?? 0) + (rooted["root.rows"] ?? 0);
    return [perFrame, frames, appended["shard.rows"], alarm, puts, calls, shelved, root].map((many) =>
      String(many ?? 0),
    );
  });
  const line =
    `an accounting line in its store: ${shelf.rowsPerLine.toFixed(2)} rows, ` +
    `${shelf.storedBytesPerLine.toFixed(0)} bytes stored`;
  return `${textTable([head, ...rows])}\n${line}`;
}

const ratio = (value: number, other = Number.NaN) => (value / other).toFixed(2);
const whole = (milliseconds: number) => (milliseconds < 1 ? "<1" : milliseconds.toFixed(0));
