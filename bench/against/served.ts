import { join } from "node:path";
import { cpuMicros } from "../process/cpu.ts";
import { start } from "../process/process.ts";
import {
  serveFormat,
  type ServeAnswer,
  type ServeFacts,
  type ServeQuestion,
  type ServeSettings,
} from "../serve.ts";
import type { Tree } from "./tree.ts";

/** The deployed Workers of a tree, served by that tree's own code in processes of its own. */
export interface Served {
  readonly port: number;
  cpuMicros(): number;
  ask<T>(question: ServeQuestion): Promise<T>;
}

export async function serve(tree: Tree, settings: ServeSettings): Promise<Served> {
  const { child, ready } = await start({
    place: "beside",
    command: [process.execPath, join(tree.path, "bench/serve.ts"), JSON.stringify(settings)],
    ready: [new RegExp(`^(?<facts>\\{"format":"${serveFormat}".*\\})$`, "mu")],
    ipc: true,
  });
  const { port, pid }: ServeFacts = JSON.parse(ready["facts"] ?? "");
  return {
    port,
    cpuMicros: () => cpuMicros(pid),
    ask: <T>(question: ServeQuestion) =>
      new Promise<T>((done, failed) => {
        const ended = () => failed(new Error(`the Workers of ${tree.commit ?? "this tree"} ended`));
        child.once("exit", ended);
        child.once("message", ({ value, fault }: ServeAnswer) => {
          child.off("exit", ended);
          if (fault === undefined) done(value as T); // the tree's answer to that question
          else failed(new Error(fault));
        });
        child.send(question);
      }),
  };
}
