// Serves the deployed Workers of this tree for a benchmark of a different tree (`npm run bench -- --against COMMIT`).
// Its argument is the settings as JSON. It prints one line of JSON when the Workers can answer, and then answers each
// message of its parent process. Later versions of the benchmark start this file of earlier commits, so the messages
// must stay; a tree keeps its bindings, migrations and registry to itself.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FiledConsents } from "./data/payloads.ts";
import type { CrowdName } from "./peers/peer.ts";

export interface ServeSettings {
  /** The place for its files, absent until now. */
  readonly folder: string;
  /** FHIR base of the origin. */
  readonly origin: string;
  /** To file at the origin's second name, `consents`. */
  readonly consents: readonly FiledConsents[];
  /** The part of the requests that is traced, to a collector in this process; absent: none. */
  readonly traced?: number | undefined;
}

/** The file in the folder with a line for each trace that the collector got. */
export const tracesFile = "traces.ndjson";

export const serveFormat = "phylax.bench.serve.v1";

/** The first line: the gateway's port on 127.0.0.1, and the process whose CPU time is the Workers'. */
export interface ServeFacts {
  readonly format: typeof serveFormat;
  readonly port: number;
  readonly pid: number;
}

/** A question: the header lines of each token of some clients, or the number of verified records. */
export type ServeQuestion = { readonly headers: CrowdName } | { readonly records: true };

export interface ServeAnswer {
  readonly value?: unknown;
  readonly fault?: string;
}

if (import.meta.main) {
  // process exit ends all started processes
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => process.exit(130));
  process.on("disconnect", () => process.exit(0));
  const { startPhylax } = await import("./peers/phylax.ts");
  const { folder, origin, consents, traced }: ServeSettings = JSON.parse(process.argv[2] ?? "{}");
  mkdirSync(folder);
  const { openTraceFile } = await import("../sandbox/trace-file.ts");
  const collector = traced === undefined ? undefined : await openTraceFile(join(folder, tracesFile));
  const deployment = {
    bundles: join(folder, "bundles"),
    form: "minified",
    isInspected: false,
    traces: collector && `${collector.url} ${traced}`,
  } as const;
  const { peer, process: running } = await startPhylax(folder, origin, deployment, consents);
  const answer = async (question: ServeQuestion): Promise<unknown> =>
    "headers" in question ? peer.headers(question.headers) : peer.ledger?.records();
  const send = (message: ServeAnswer) => process.send?.(message);
  process.on("message", (question: ServeQuestion) => {
    void answer(question).then(
      (value) => send({ value }),
      (fault: unknown) => send({ fault: fault instanceof Error ? fault.message : String(fault) }),
    );
  });
  const facts: ServeFacts = {
    format: serveFormat,
    port: peer.target.port,
    pid: running.child.pid ?? 0,
  };
  console.log(JSON.stringify(facts));
}
