import { test } from "vitest";
import { adminApp } from "#admin/app";
import type { AuditEvent } from "#audit/event";
import type { Silence } from "#audit/alerts/silence";
import { machine, nobodySignsIn, quietReport, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("on-call");
const hour = 3_600_000;
const timeAt = (hours: number) => new Date(at + hours * hour).toISOString();
const window = { alerts: ["ledger_behind"], until: timeAt(2), reason: "R2 is moved" };

function door(roles: readonly string[]) {
  const silences: Omit<Silence, "id">[] = [];
  const events: AuditEvent[] = [];
  const app = adminApp({
    ...nobodySignsIn,
    operators: {
      find: async (asked) => (asked === x5t ? { ...machine, id: "on-call", roles } : undefined),
    },
    registry: {
      ...registryUnasked,
      apply: () => Promise.reject(new Error("not asked")),
      revoke: () => Promise.reject(new Error("not asked")),
      lift: () => Promise.reject(new Error("not asked")),
    },
    alerts: {
      report: async () => quietReport,
      async silence(silence) {
        silences.push(silence);
        return "0123456789abcdef0123456789abcdef";
      },
      endSilence: async (id) => id === "0123456789abcdef0123456789abcdef",
    },
    ledger: recordsOnly(async (recorded) => {
      events.push(...recorded);
      return "counted";
    }),
    clock: () => at,
  });
  const post = async (path: string, document: object) => {
    const request = new Request(`https://ops.example.org/api/alerts/${path}`, {
      method: "POST",
      body: JSON.stringify(document),
      headers: { "content-type": "application/json" },
    });
    const answer = await app.request(Object.assign(request, { cf: { tlsClientAuth } }));
    return { status: answer.status, body: await answer.json() };
  };
  return { post, silences, events };
}

test("an operator silences alerts for a time, and the reason is on record before the act", async ({
  expect,
}) => {
  const { post, silences, events } = door(["revoker"]);
  expect(await post("silence", window)).toEqual({
    status: 200,
    body: { silence: "0123456789abcdef0123456789abcdef" },
  });
  expect(silences).toEqual([
    { alerts: ["ledger_behind"], from: at, until: at + 2 * hour, reason: "R2 is moved", operator: "on-call" },
  ]);
  expect(JSON.stringify(events[0])).toContain("R2 is moved");
  const later = { ...window, alerts: ["all"], from: timeAt(24), until: timeAt(26) };
  expect(await post("silence", later)).toMatchObject({ status: 200 });
  expect(silences[1]).toMatchObject({ from: at + 24 * hour, until: at + 26 * hour });
});

test.for([
  ["alerts", { ...window, alerts: [] }],
  ["alerts", { ...window, alerts: ["ledger_behnd"] }],
  ["until", { ...window, until: timeAt(-1) }],
  ["until", { ...window, until: timeAt(8 * 24) }],
  ["until", { ...window, from: timeAt(3) }],
  ["reason", { ...window, reason: "" }],
  ["reason", { ...window, reason: "two\nlines" }],
] as const)("a silence with a wrong %s is refused (%o)", async ([field, document], { expect }) => {
  const { post, silences } = door(["registry-admin"]);
  expect(await post("silence", document)).toMatchObject({
    status: 422,
    body: { reason: "silence_malformed", pointer: `/${field}` },
  });
  expect(silences).toEqual([]);
});

test("a silence ends with a reason on record, once", async ({ expect }) => {
  const { post, events } = door(["registry-admin"]);
  const ending = { silence: "0123456789abcdef0123456789abcdef", reason: "the work is done" };
  expect(await post("unsilence", ending)).toMatchObject({ status: 200 });
  expect(JSON.stringify(events[0])).toContain("the work is done");
  expect(await post("unsilence", { ...ending, silence: "f".repeat(32) })).toMatchObject({
    status: 422,
    body: { reason: "silence_not_open" },
  });
});

test("who may only read the registry silences nothing", async ({ expect }) => {
  const { post, silences } = door(["registry-reader"]);
  expect(await post("silence", window)).toMatchObject({ status: 403 });
  expect(silences).toEqual([]);
});
