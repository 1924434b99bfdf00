import { start } from "../process/process.ts";
import type { Target } from "./connection.ts";

/** One run of the load generator against one peer. */
export interface Order {
  readonly target: Target;
  /** Each path, with the length of the body that its answer must have. Requests take them in turn. */
  readonly paths: readonly { readonly path: string; readonly bytes: number }[];
  /** The header lines of each token. Requests take them in turn. */
  readonly headers: readonly (readonly string[])[];
  readonly connections: number;
  readonly seconds: number;
  /** Undefined: a closed loop. */
  readonly perSecond?: number;
  /** The number of the first request: an order goes on where an earlier order ended. Default: 0. */
  readonly first?: number;
}

export interface Outcome {
  readonly answers: number;
  /** Answers that say that the peer is too busy (429, 503, 504). */
  readonly refused: number;
  /** Further answers that differ from the expected answer, and broken connections. */
  readonly wrong: number;
  /** The first refused or wrong answer: its status and the beginning of its body. */
  readonly firstWrong: string | undefined;
  readonly seconds: number;
  readonly p50Milliseconds: number;
  readonly p95Milliseconds: number;
  /** The share of the answers that took over {@link slowMilliseconds}. */
  readonly slowShare: number;
}

/** An answer that takes longer counts as slow: a page waited for a collection, a commit or a queue. */
export const slowMilliseconds = 25;

export interface Generator {
  run(order: Order): Promise<Outcome>;
}

/** The bytes of a whole request. `path`: below `/v1/fhir/`, the gateway's name of the origin first. */
export const requestText = (path: string, port: number, headers: readonly string[]): string =>
  [
    `GET /v1/fhir/${path} HTTP/1.1`,
    `Host: localhost:${port}`,
    "Accept: application/fhir+json",
    ...headers,
    "\r\n",
  ].join("\r\n");

export async function startGenerator(): Promise<Generator> {
  const { child } = await start({
    place: "beside",
    command: [process.execPath, `${import.meta.dirname}/load.ts`],
    ready: [/^ready/mu],
    ipc: true,
  });
  return {
    run: (order) =>
      new Promise((done, failed) => {
        const ended = () => failed(new Error("the load generator ended"));
        child.once("exit", ended);
        child.once("message", (outcome: Outcome) => {
          child.off("exit", ended);
          done(outcome);
        });
        child.send(order);
      }),
  };
}
