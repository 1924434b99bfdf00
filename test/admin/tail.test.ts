import { test } from "vitest";
import { adminApp } from "#admin/app";
import type { Tail, TailCursor } from "#audit/traffic/ends";
import { instant } from "#kernel/clock";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { tlsClientAuth } = presented("watcher");

/** Each look finds one end, of a frame of its own. `suspendedAt`: the look before which the operator is suspended. */
function door({ roles = ["registry-reader"], suspendedAt = Infinity } = {}) {
  const book: string[] = [];
  const asked: TailCursor[] = [];
  const status = () => (asked.length < suspendedAt ? "active" : "suspended");
  const app = adminApp({
    ...nobodySignsIn,
    operators: { find: async () => ({ ...machine, id: "watcher", roles, status: status() }) },
    registry: {
      ...registryUnasked,
      apply: () => Promise.reject(new Error("not asked")),
      revoke: () => Promise.reject(new Error("not asked")),
      lift: () => Promise.reject(new Error("not asked")),
    },
    tail: async (after): Promise<Tail> => {
      asked.push(after);
      const end = { recordedAt: at, milliseconds: 7, outcome: "refused", reason: "token_missing" };
      return {
        ends: [{ ...end, count: asked.length }],
        incomplete: asked.length === 2 ? ["s1-2026h2"] : [],
        after: { "s0-2026h2": asked.length },
      };
    },
    ledger: recordsOnly(async (recorded) => {
      book.push(...recorded.map(({ kind }) => kind));
      return "counted";
    }),
    clock: () => instant(at),
    onFault: ({ name }) => book.push(`fault ${name}`),
  });
  const watch = async (query = "") =>
    app.request(
      Object.assign(new Request(`https://ops.example.org/tail${query}`), { cf: { tlsClientAuth } }),
    );
  return { asked, book, watch };
}

const linesOf = async (answer: Response): Promise<unknown[]> =>
  (await answer.text())
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as unknown);

test("a watch has each end, a gap where ends are missing, and where to go on, and is on record once", async ({
  expect,
}) => {
  const { asked, book, watch } = door();
  const answer = await watch("?after=s0-2026h2:41,s1-2026h2:-1");
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
  const lines = await linesOf(answer);
  const end = {
    at: new Date(at).toISOString(),
    milliseconds: 7,
    outcome: "refused",
    reason: "token_missing",
  };
  expect(lines.slice(0, 5)).toEqual([
    end,
    { after: "s0-2026h2:1" },
    { missing: "s1-2026h2" },
    { ...end, count: 2 },
    { after: "s0-2026h2:2" },
  ]);
  expect(asked.slice(0, 2)).toEqual([{ "s0-2026h2": 41, "s1-2026h2": -1 }, { "s0-2026h2": 1 }]);
  expect(asked.length, "the answer ends by itself").toBe(12);
  expect(book).toEqual(["administration", "administration"]);
});

test("an operator who is suspended gets no further look", async ({ expect }) => {
  const { asked, watch } = door({ suspendedAt: 3 });
  await (await watch()).text();
  expect(asked.length).toBe(3);
});

test("a reader who takes no line makes no further look", async ({ expect }) => {
  const { asked, watch } = door();
  const { body } = await watch();
  const reader = body?.getReader();
  await reader?.read();
  await new Promise((resolve) => void setTimeout(resolve, 50));
  expect(asked.length).toBe(1);
  await reader?.cancel();
});

test("a role that may not read is refused, and a text that is no cursor is, with its reason", async ({
  expect,
}) => {
  const revoker = door({ roles: ["revoker"] });
  const refused = await revoker.watch();
  expect([refused.status, revoker.asked, revoker.book]).toEqual([403, [], ["refusal"]]);
  for (const after of ["patient", "s0-2026h2", "s0-2026h2:x", "s0-2026h2:1:2", "s0-2026h2:1,"]) {
    const { asked, watch } = door();
    const answer = await watch(`?after=${after}`);
    expect([answer.status, asked]).toEqual([422, []]);
    expect(await answer.json()).toMatchObject({ pointer: "/after", reason: "tail_malformed" });
  }
});
