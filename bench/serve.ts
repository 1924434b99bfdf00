// Serves a part of this tree for a benchmark of a different tree (`npm run bench -- --against COMMIT`): the deployed
// Workers, the engine, or the ledger. Arguments: the part and its settings as JSON. It prints one line of JSON when
// the part can work, and then answers each message of its parent process. Later versions of the benchmark start
// this file of earlier commits, so these messages must stay: a tree keeps its bindings, migrations and registry to
// itself.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { FiledConsents } from "./data/payloads.ts";
import type { CrowdName } from "./peers/peer.ts";

/** The part's place for files (absent until now), and what it has to know of the run. */
export interface PartSettings {
  readonly folder: string;
  /** Of the Workers: FHIR base of the origin, and the Consents to file at its second name. */
  readonly origin?: string;
  readonly consents?: readonly FiledConsents[];
}

/** The first line: the process whose CPU time is the part's, and where the part listens. */
export interface PartFacts {
  readonly format: typeof partFormat;
  readonly pid: number;
  /** The gateway's port, of the Workers. */
  readonly port?: number;
  /** Of the engine: PUT loads a `RedactCase`, POST does a `RedactTask`. Of the ledger: POST carries out an `Ask`. */
  readonly url?: string;
}

/** A question to the Workers: the header lines of each token of some clients, or the number of verified records. */
export type PartQuestion = { readonly headers: CrowdName } | { readonly records: true };

export const partFormat = "phylax.bench.part.v1";

interface Part {
  readonly facts: Omit<PartFacts, "format">;
  /** Undefined: the part takes no questions. */
  readonly answer: ((question: PartQuestion) => Promise<unknown>) | undefined;
}

const parts = {
  async phylax({ folder, origin = "", consents = [] }: PartSettings): Promise<Part> {
    const { startPhylax } = await import("./peers/phylax.ts");
    const deployment = { bundles: join(folder, "bundles"), form: "minified", isInspected: false } as const;
    const { peer, process: running } = await startPhylax(folder, origin, deployment, consents);
    return {
      facts: { pid: running.child.pid ?? 0, port: peer.target.port },
      answer: async (question) =>
        "headers" in question ? peer.headers(question.headers) : peer.ledger?.records(),
    };
  },
  async redact({ folder }: PartSettings): Promise<Part> {
    const { serveEngine } = await import("./redact/group.ts");
    const { url, running } = await serveEngine(folder);
    return { facts: { pid: running.child.pid ?? 0, url }, answer: undefined };
  },
  async ledger({ folder }: PartSettings): Promise<Part> {
    const { serveLedger } = await import("./ledger/stack.ts");
    const stack = await serveLedger(join(folder, "ledger"));
    return { facts: { pid: stack.process.child.pid ?? 0, url: stack.driverUrl }, answer: undefined };
  },
};
export type PartName = keyof typeof parts;

if (import.meta.main) {
  // process exit ends all started processes
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => process.exit(130));
  process.on("disconnect", () => process.exit(0));
  const [name = "", json = "{}"] = process.argv.slice(2);
  const settings: PartSettings = JSON.parse(json);
  mkdirSync(settings.folder);
  const { facts, answer } = await parts[name as PartName](settings); // the parent has this table's type
  process.on("message", (question: PartQuestion) => {
    void (answer?.(question) ?? Promise.resolve(undefined)).then(
      (value) => process.send?.({ value }),
      (fault: unknown) => process.send?.({ fault: fault instanceof Error ? fault.message : String(fault) }),
    );
  });
  console.log(JSON.stringify({ format: partFormat, ...facts } satisfies PartFacts));
}
