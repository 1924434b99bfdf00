import type { Resource } from "@medplum/fhirtypes";
import { memoryOrigin } from "../../sandbox/origin/memory-origin.ts";
import { Discloser } from "#phi/disclose";
import { RowViews } from "#phi/row-views";
import { handlerOf } from "./in-process/memory-handler.ts";
import type { Handler } from "./in-process/network.ts";

/** The methods that judge a row, their first argument. */
const judging = ["entry", "seen", "read", "row", "included", "current", "version", "step"];

/**
 * The judgements of rows in this process: by a grant, and by the views of an answer. A row is an object that was read
 * from an answer of the origin, so a row that is asked for again is a further row.
 */
class JudgedRows {
  /** Since the process began. */
  judged = 0;
  /** The rows that a judge has judged again, each as often as that. */
  #again: string[] = [];
  readonly #known = new WeakMap<object, WeakSet<object>>();

  constructor() {
    let depth = 0;
    for (const name of judging)
      around(Discloser.prototype, name, (discloser, args, judge) => {
        // a judgement inside a judgement is of the same row
        if (depth === 0) this.#count(discloser.grant, args[0]);
        depth += 1;
        try {
          return judge();
        } finally {
          depth -= 1;
        }
      });
    around(RowViews.prototype, "viewOf", (views, [row, ...versions], judge) => {
      if (versions.length === 0) this.#note(views, row);
      return judge();
    });
  }

  /** The rows that were judged again since the last call. */
  takeAgain(): readonly string[] {
    return this.#again.splice(0);
  }

  #count(judge: object, row: unknown): void {
    this.judged += 1;
    this.#note(judge, row);
  }

  #note(judge: object, row: unknown): void {
    if (typeof row !== "object" || row === null) return; // an entry that is too large is not read
    const rows = this.#known.get(judge) ?? new WeakSet();
    this.#known.set(judge, rows);
    if (rows.has(row)) this.#again.push(nameOf(row));
    rows.add(row);
  }
}

type Around<T> = (judge: T, args: readonly unknown[], go: () => unknown) => unknown;

function around<T extends object>(prototype: T, name: string, act: Around<T>): void {
  const original = Object.getOwnPropertyDescriptor(prototype, name);
  const judge = original?.value as ((...args: readonly unknown[]) => unknown) | undefined;
  if (judge === undefined) throw new Error(`${name} judges no row any more`);
  Object.defineProperty(prototype, name, {
    ...original,
    value(this: T, ...args: readonly unknown[]) {
      return act(this, args, () => judge.apply(this, [...args]));
    },
  });
}

function nameOf(row: object): string {
  const read = row instanceof Uint8Array ? (JSON.parse(Buffer.from(row).toString()) as object) : row;
  const named = "resource" in read ? (read.resource as object) : read;
  const { resourceType, type, id } = named as Readonly<Record<string, unknown>>;
  return `${String(resourceType ?? type)}/${String(id)}`;
}

/** One for the process: test/door/vitest.config.ts lets all files share the modules. */
export const judgedRows: JudgedRows = new JudgedRows();

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
