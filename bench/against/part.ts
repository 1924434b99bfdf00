import { join } from "node:path";
import { cpuMicros } from "../process/cpu.ts";
import { start } from "../process/process.ts";
import { partFormat, type PartFacts, type PartName, type PartQuestion, type PartSettings } from "../serve.ts";
import type { Tree } from "./tree.ts";

/** A part of a tree, served by that tree's own code in processes of its own. */
export interface ServedPart {
  readonly facts: PartFacts;
  cpuMicros(): number;
  ask<T>(question: PartQuestion): Promise<T>;
}

interface Answered {
  readonly value?: unknown;
  readonly fault?: string;
}

export async function servePart(tree: Tree, part: PartName, settings: PartSettings): Promise<ServedPart> {
  const { child, ready } = await start({
    place: "beside",
    command: [process.execPath, join(tree.path, "bench/serve.ts"), part, JSON.stringify(settings)],
    ready: [new RegExp(`^(?<facts>\\{"format":"${partFormat}".*\\})$`, "mu")],
    ipc: true,
  });
  const facts: PartFacts = JSON.parse(ready["facts"] ?? "");
  return {
    facts,
    cpuMicros: () => cpuMicros(facts.pid),
    ask: <T>(question: PartQuestion) =>
      new Promise<T>((done, failed) => {
        const ended = () => failed(new Error(`${part} of ${tree.commit ?? "this tree"} ended`));
        child.once("exit", ended);
        child.once("message", ({ value, fault }: Answered) => {
          child.off("exit", ended);
          if (fault === undefined) done(value as T); // the part's answer to that question
          else failed(new Error(fault));
        });
        child.send(question);
      }),
  };
}
