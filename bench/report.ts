import { readFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LedgerReport } from "./ledger/group.ts";
import { ledgerTables } from "./ledger/table.ts";
import type { Figure } from "./measure.ts";
import type { Payload } from "./payloads.ts";
import type { Peer } from "./peers/peer.ts";
import { isPinned } from "./process.ts";
import { textTable } from "./text-table.ts";

/** All results of the benchmark, as `--json` writes them. */
export interface Report {
  readonly format: "phylax.bench.v1";
  readonly at: string;
  /** True: the run lasted moments only, so no figure means anything. */
  readonly isShort: boolean;
  readonly rounds: number;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly kernel: string;
    readonly node: string;
    readonly workerd: string;
    readonly isPinned: boolean;
  };
  readonly payloads: readonly (Payload & { readonly answerBytes: number })[];
  readonly peers: readonly { readonly name: string; readonly describe: string }[];
  /** Medians over the rounds. */
  readonly figures: readonly (Figure & { readonly cpuRatios: Readonly<Record<string, number>> })[];
  /** Null for a group that was not run; the three members above are empty then. */
  readonly ledger: LedgerReport | null;
}

/** The results of the group of requests. */
export interface RequestsFound {
  readonly payloads: Report["payloads"];
  readonly peers: readonly Peer[];
  readonly figures: readonly Figure[];
}

/** The peers to compare with. */
const references = ["proxy", "fastify"] as const;

export function report(
  isShort: boolean,
  rounds: number,
  { payloads, peers, figures }: RequestsFound,
  ledger: LedgerReport | null,
): Report {
  return {
    format: "phylax.bench.v1",
    at: new Date().toISOString(),
    isShort,
    rounds,
    machine: {
      cpu: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      kernel: release(),
      node: process.versions.node,
      workerd: workerdVersion(),
      isPinned,
    },
    payloads,
    peers: peers.map(({ name, describe }) => ({ name, describe })),
    figures: figures.map((figure) => ({ ...figure, cpuRatios: ratios(figure, figures) })),
    ledger,
  };
}

/** Only for the closed loops: at a low rate a process mostly wakes up. */
function ratios(figure: Figure, all: readonly Figure[]): Record<string, number> {
  if (figure.load.perSecond !== undefined) return {};
  const isSame = (other: Figure) =>
    other.payload === figure.payload && JSON.stringify(other.load) === JSON.stringify(figure.load);
  return Object.fromEntries(
    references.flatMap((name) => {
      const reference = all.find((other) => other.peer === name && isSame(other));
      return reference === undefined
        ? []
        : [[name, figure.cpuMicrosPerRequest / reference.cpuMicrosPerRequest]];
    }),
  );
}

/** The version of miniflare's workerd. */
function workerdVersion(): string {
  const manifest: { dependencies: { workerd: string } } = JSON.parse(
    readFileSync(
      join(dirname(fileURLToPath(import.meta.resolve("miniflare"))), "../../package.json"),
      "utf8",
    ),
  );
  return manifest.dependencies.workerd;
}

/** The tables for people: one for each payload, and the ledger's. */
export function table({ payloads, peers, figures, ledger, machine, rounds, isShort }: Report): string {
  const head = `medians of ${rounds} interleaved round${rounds === 1 ? "" : "s"}; ${machine.cpu}, ${machine.cores} cores; Node ${machine.node}, workerd ${machine.workerd}`;
  const tables = payloads.map((payload) => {
    const rows = peers.map(({ name }) => {
      const of = (connections: number, isOpen: boolean) =>
        figures.find(
          ({ peer, payload: asked, load }) =>
            peer === name &&
            asked === payload.name &&
            load.connections === connections &&
            (load.perSecond !== undefined) === isOpen,
        );
      const [four, many, open] = [of(4, false), of(32, false), of(64, true)];
      return [
        name,
        whole(four?.cpuMicrosPerRequest),
        whole(many?.cpuMicrosPerRequest),
        times(many?.cpuRatios["proxy"]),
        times(four?.cpuRatios["fastify"]),
        times(many?.cpuRatios["fastify"]),
        whole(four?.requestsPerSecond),
        whole(many?.requestsPerSecond),
        tenths(open?.p50Milliseconds),
        tenths(open?.p99Milliseconds),
      ];
    });
    const title = `${payload.name}: ${payload.originBytes} bytes at the origin, ${payload.answerBytes} after the cut`;
    return `${title}\n${textTable([columns, ...rows])}`;
  });
  const legend = peers.map(({ name, describe }) => `  ${name}: ${describe}`).join("\n");
  const groups = [
    ...(peers.length === 0 ? [] : [...tables, legend]),
    ...(ledger === null ? [] : ledgerTables(ledger)),
  ];
  return [head, ...groups, ...(isShort ? ["a short run: these figures mean nothing"] : [])].join("\n\n");
}

const columns = [
  "",
  "CPU µs @4",
  "CPU µs @32",
  "× proxy @32",
  "× fastify @4",
  "× fastify @32",
  "req/s @4",
  "req/s @32",
  "p50 ms",
  "p99 ms",
];
const whole = (value = Number.NaN) => value.toFixed(0);
const tenths = (value = Number.NaN) => value.toFixed(2);
const times = (value = Number.NaN) => value.toFixed(2);
