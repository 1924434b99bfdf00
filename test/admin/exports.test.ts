import { test } from "vitest";
import { adminApp } from "#admin/app";
import type { AuditEvent } from "#audit/event";
import { ok } from "#kernel/result";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("ops");
const cancelling = { client: "payer", export: "a".repeat(32), reason: "the agreement ends" };

/** A door over one export; `book` has what was done, in its order. */
function door(roles: readonly string[]) {
  const book: string[] = [];
  const events: AuditEvent[] = [];
  const app = adminApp({
    ...nobodySignsIn,
    operators: {
      find: (asked) => Promise.resolve(asked === x5t ? { ...machine, id: "ops", roles } : undefined),
    },
    registry: {
      ...registryUnasked,
      apply: () => Promise.reject(new Error("not asked")),
      revoke: () => Promise.resolve(ok(undefined)),
      lift: () => Promise.resolve(ok(false)),
    },
    exports: {
      async list(client) {
        book.push(`list ${client ?? "all"}`);
        return { exports: [], more: 0 };
      },
      async cancel(client, id) {
        book.push(`cancel ${client} ${id}`);
        return id === cancelling.export;
      },
    },
    ledger: recordsOnly((recorded) => {
      events.push(...recorded);
      book.push(...recorded.map(({ kind, step }) => `${kind} ${step}`));
      return Promise.resolve("counted");
    }),
    clock: () => at,
  });
  const post = async (path: string, document: object) => {
    const init = {
      method: "POST",
      body: JSON.stringify(document),
      headers: { "content-type": "application/json" },
    };
    const request = new Request(`https://ops.example.org/api/${path}`, init);
    return await app.request(Object.assign(request, { cf: { tlsClientAuth } }));
  };
  return { post, book, events };
}

test("a cancelled export is on record with its reason before it ends, and after", async ({ expect }) => {
  const { post, book, events } = door(["revoker"]);
  expect((await post("exports/cancel", cancelling)).status).toBe(200);
  expect(book).toEqual(["administration 0", `cancel payer ${cancelling.export}`, "administration 1"]);
  expect(JSON.stringify(events[0])).toContain(cancelling.reason);
});

test("nobody but an operator with the role of a revoker cancels an export, and no privacy officer lists them", async ({
  expect,
}) => {
  const others = [
    "registry-admin",
    "registry-reader",
    "policy-author",
    "approver",
    "privacy-officer",
    "auditor",
  ];
  const { post, book } = door(others);
  expect((await post("exports/cancel", cancelling)).status).toBe(403);
  expect(book.some((entry) => entry.startsWith("cancel"))).toBe(false);
  expect((await door(["privacy-officer"]).post("exports", {})).status).toBe(403);
  for (const role of ["revoker", "registry-reader"])
    expect((await door([role]).post("exports", { client: "payer" })).status).toBe(200);
});

test("an export that is over, and a document of another form, end nothing and say so", async ({ expect }) => {
  const { post, book } = door(["revoker"]);
  const over = await post("exports/cancel", { ...cancelling, export: "b".repeat(32) });
  expect([over.status, await over.json()]).toMatchObject([422, { reason: "export_not_open" }]);
  book.length = 0;
  for (const [path, document, pointer] of [
    ["exports/cancel", { ...cancelling, reason: " " }, "/reason"],
    ["exports/cancel", { ...cancelling, export: "a" }, "/export"],
    ["exports/cancel", { ...cancelling, client: undefined }, "/client"],
    ["exports", { client: "not a client" }, "/client"],
    ["exports", { patient: "main/Patient/1" }, ""],
  ] as const) {
    const reply = await post(path, document);
    expect([reply.status, await reply.json()]).toMatchObject([422, { reason: "export_malformed", pointer }]);
  }
  expect(book.some((entry) => /^(?:cancel|list)/u.test(entry))).toBe(false);
});
