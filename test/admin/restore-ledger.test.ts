import { test } from "vitest";
import { adminApp } from "#admin/app";
import { err, ok } from "#kernel/result";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("registrar");
const restored = { log: "s0-2026h2", standIn: "s10000-2026h2", isDone: true, leaves: 5, rooted: 7 };

function door(roles: readonly string[], lost = false) {
  const book: string[] = [];
  let isLost = lost;
  const app = adminApp({
    ...nobodySignsIn,
    operators: {
      find: async (asked) => (asked === x5t ? { ...machine, id: "registrar", roles } : undefined),
    },
    registry: {
      ...registryUnasked,
      apply: async () => err({ reason: "conflict", pointer: "", problem: "not asked for here" }),
      revoke: async () => ok(undefined),
      lift: async () => ok(false),
    },
    restores: {
      async restore(log) {
        book.push(`restore ${log ?? "all"}`);
        isLost = false;
        if (log === undefined || log === restored.log) return ok([restored]);
        return err({ reason: log === "s1-2026h2" ? "restore_log_not_lost" : "restore_log_unknown" });
      },
    },
    ledger: recordsOnly(async (recorded) => {
      if (isLost) throw new Error("ledger: no log takes records");
      book.push(...recorded.map(({ kind, step }) => `${kind} ${step}`));
      return "counted";
    }),
    clock: () => at,
    onFault: ({ name }) => book.push(`fault ${name}`),
  });
  const post = async (document: object) => {
    const request = new Request("https://ops.example.org/api/ledger/restore", {
      method: "POST",
      body: JSON.stringify(document),
      headers: { "content-type": "application/json" },
    });
    return app.request(Object.assign(request, { cf: { tlsClientAuth } }));
  };
  return { book, post };
}

test("a registry-admin restores a log: the act is on record before it is done, and after", async ({
  expect,
}) => {
  const { book, post } = door(["registry-admin"]);
  const answer = await post({ log: "s0-2026h2" });
  expect([answer.status, await answer.json()]).toEqual([200, { logs: [restored] }]);
  expect(book[0]).toBe("administration 0");
  expect(book.indexOf("restore s0-2026h2")).toBeGreaterThan(0);
  expect(book.at(-1)).toMatch(/^administration/u);
});

test("while no log takes the record, the logs are restored and the answer is 503; the repeat is on record", async ({
  expect,
}) => {
  const { book, post } = door(["registry-admin"], true);
  expect((await post({})).status).toBe(503);
  expect(book).toEqual(["restore all", "fault Error"]);
  expect((await post({})).status).toBe(200);
  expect(book[2]).toBe("administration 0");
  expect(book.at(-1)).toMatch(/^administration/u);
  const reader = door(["revoker"], true);
  expect((await reader.post({})).status).toBe(503);
  expect(reader.book).toEqual(["fault Error"]);
});

test("a log that is not lost, an unknown log, a further role and a malformed document restore nothing", async ({
  expect,
}) => {
  const { post } = door(["registry-admin"]);
  for (const [log, status, detail] of [
    ["s1-2026h2", 409, "is not lost"],
    ["s9-2026h2", 422, "/readyz lists the logs"],
  ] as const) {
    const answer = await post({ log });
    expect([answer.status, await answer.json()]).toEqual([
      status,
      expect.objectContaining({ pointer: "/log", detail: expect.stringContaining(detail) }),
    ]);
  }
  expect((await post({ shard: 0 })).status).toBe(422);
  const reader = door(["revoker", "auditor"]);
  expect((await reader.post({ log: "s0-2026h2" })).status).toBe(403);
  expect(reader.book).not.toContain("restore s0-2026h2");
});
