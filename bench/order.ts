import { start } from "./process.ts";
import type { Target } from "./connection.ts";

/** One run of the load generator against one peer. */
export interface Order {
  readonly target: Target;
  /** The bytes of the whole request. */
  readonly request: string;
  /** Length of the body that every answer must have. */
  readonly bytes: number;
  readonly connections: number;
  readonly seconds: number;
  /** Undefined: a closed loop. */
  readonly perSecond?: number;
}

export interface Outcome {
  readonly answers: number;
  /** Answers that differ from the expected answer, and broken connections. */
  readonly wrong: number;
  readonly seconds: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
}

export interface Generator {
  run(order: Order): Promise<Outcome>;
}

export async function startGenerator(): Promise<Generator> {
  const { child } = await start(
    "beside",
    [process.execPath, `${import.meta.dirname}/load.ts`],
    /^ready/mu,
    true,
  );
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
