import { test } from "vitest";
import { adminApp } from "#admin/app";
import type { AuditEvent } from "#audit/event";
import { readSuspension } from "#audit/accounting/suspension";
import { err, ok } from "#kernel/result";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("privacy");
const suspension = {
  id: "case-7",
  patient: "main/Patient/1",
  recipient: "agency",
  from: "2026-11-01T00:00:00Z",
  to: "2026-12-01T00:00:00Z",
  statement: "Telling would impede an inquiry.",
};

function door(roles: readonly string[]) {
  const book: string[] = [];
  const events: AuditEvent[] = [];
  const app = adminApp({
    ...nobodySignsIn,
    operators: {
      find: (asked) => Promise.resolve(asked === x5t ? { ...machine, id: "privacy", roles } : undefined),
    },
    registry: {
      ...registryUnasked,
      apply: () => Promise.resolve(err({ reason: "conflict", pointer: "", problem: "not asked for here" })),
      revoke: () => Promise.resolve(ok(undefined)),
      lift: () => Promise.resolve(ok(false)),
    },
    accountings: {
      hold(document) {
        const read = readSuspension(document);
        if (!read.ok) return Promise.resolve(read);
        book.push(`held ${read.value.suspension.id}`);
        return Promise.resolve(ok(undefined));
      },
    },
    ledger: recordsOnly((recorded) => {
      events.push(...recorded);
      book.push(...recorded.map(({ kind, step }) => `${kind} ${step}`));
      return Promise.resolve("counted");
    }),
    clock: () => at,
    onFault: ({ name }) => book.push(`fault ${name}`),
  });
  const post = (document: object) => {
    const init = {
      method: "POST",
      body: JSON.stringify(document),
      headers: { "content-type": "application/json" },
    };
    return app.request(
      Object.assign(new Request("https://ops.example.org/api/accounting/suspensions", init), {
        cf: { tlsClientAuth },
      }),
    );
  };
  return { post, book, events };
}

test("a suspension is on record before it is kept, and after", async ({ expect }) => {
  const { post, book, events } = door(["privacy-officer"]);
  expect((await post(suspension)).status).toBe(200);
  expect(book).toEqual(["administration 0", "held case-7", "administration 1"]);
  expect(events[0]).toMatchObject({
    who: { operator: "privacy" },
    what: { interaction: "suspend-accounting" },
  });
});

test("nobody but an operator with the role of a privacy officer suspends", async ({ expect }) => {
  const { post, book } = door(["registry-admin", "revoker"]);
  expect((await post(suspension)).status).toBe(403);
  expect(book.some((entry) => entry.startsWith("held"))).toBe(false);
});

test("what is wrong with a suspension is named by its place and never quoted", async ({ expect }) => {
  const { post } = door(["privacy-officer"]);
  for (const [field, value] of [
    ["patient", "Amara Okafor"],
    ["to", "2026-10-01T00:00:00Z"],
    ["statement", ""],
    ["more", 1],
    ["oral", "Amara Okafor"],
  ] as const) {
    const answer = await post({ ...suspension, [field]: value });
    const text = await answer.text();
    expect([answer.status, (JSON.parse(text) as { pointer: string }).pointer]).toEqual([422, `/${field}`]);
    expect(text).not.toContain("Okafor");
  }
});
