import type { Resource } from "@medplum/fhirtypes";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { Discloser } from "#phi/disclose";
import { handlerOf } from "./in-process/memory-handler.ts";
import type { Handler } from "./in-process/network.ts";

/** The judgements of rows in this process, by the type of their question, until it ends. */
export class JudgedRows {
  judged = 0;
  readonly #methods = (["entry", "seen", "read", "row"] as const).map((name) => ({
    name,
    original: Object.getOwnPropertyDescriptor(Discloser.prototype, name),
  }));

  constructor() {
    let depth = 0;
    for (const { name, original } of this.#methods) {
      const judge = original?.value as (...args: readonly unknown[]) => unknown;
      const counted = (discloser: Discloser, args: readonly unknown[]): unknown => {
        // a judgement inside a judgement is of the same row
        if (depth === 0) this.judged += 1;
        depth += 1;
        try {
          return judge.call(discloser, ...args);
        } finally {
          depth -= 1;
        }
      };
      Object.defineProperty(Discloser.prototype, name, {
        ...original,
        value(this: Discloser, ...args: readonly unknown[]) {
          return counted(this, args);
        },
      });
    }
  }

  end(): void {
    for (const { name, original } of this.#methods)
      if (original !== undefined) Object.defineProperty(Discloser.prototype, name, original);
  }
}

/** An origin with these resources, and the number of rows that it sent. */
export function countingOrigin(base: string, resources: Iterable<Resource>) {
  const server = memoryOrigin(base);
  server.load(resources);
  const answer = handlerOf(server);
  const state = { sent: 0 };
  const origin: Handler = async (request) => {
    const response = await answer(request);
    const { pathname } = new URL(request.url);
    if (response.status === 200 && !/\/(?:Consent|metadata)\b/u.test(pathname)) {
      const body = await response.clone().json<{ resourceType: string; entry?: readonly unknown[] }>();
      state.sent += body.resourceType === "Bundle" ? (body.entry?.length ?? 0) : 1;
    }
    return response;
  };
  return { origin, state };
}
