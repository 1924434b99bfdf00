import { test } from "vitest";
import { adminApp } from "#admin/app";
import type { AuditEvent } from "#audit/event";
import { readDenial, readDenials } from "#identity/denial-document";
import { err, ok } from "#kernel/result";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("on-call");
const denial = { kind: "client", client: "payer" };

/** The operators' door with control behind it, and the list of steps in order. */
function door(roles: readonly string[] = ["revoker"], configured = nobodySignsIn.configured) {
  const book: string[] = [];
  const events: AuditEvent[] = [];
  const denied = new Set<string>();
  const name = (value: unknown) => readDenial(value);
  const app = adminApp({
    ...nobodySignsIn,
    configured,
    operators: {
      find: (asked) => Promise.resolve(asked === x5t ? { ...machine, id: "on-call", roles } : undefined),
    },
    registry: {
      ...registryUnasked,
      apply: () => Promise.resolve(err({ reason: "conflict", pointer: "", problem: "not asked for here" })),
      revoke(value) {
        const read = name(value);
        if (!read.ok) return Promise.resolve(read);
        book.push("revoked");
        denied.add(read.value.kind);
        return Promise.resolve(ok(undefined));
      },
      lift(value) {
        const read = name(value);
        if (!read.ok) return Promise.resolve(read);
        book.push("lifted");
        return Promise.resolve(ok(denied.delete(read.value.kind)));
      },
    },
    ledger: recordsOnly((recorded) => {
      events.push(...recorded);
      book.push(...recorded.map(({ kind, step }) => `${kind} ${step}`));
      return Promise.resolve("counted");
    }),
    clock: () => at,
  });
  const post = async (path: string, body: unknown) => {
    const headers = { "content-type": "application/json" };
    const request = new Request(`https://ops.example.org/${path}`, {
      method: "POST",
      body: JSON.stringify(body),
      headers,
    });
    const reply = await app.request(Object.assign(request, { cf: { tlsClientAuth } }));
    return [reply.status, await reply.json<Record<string, unknown>>()] as const;
  };
  return { post, book, events };
}

test("a list of denials is taken whole, or refused with the place of its first wrong entry", async ({
  expect,
}) => {
  const read = (value: unknown) => {
    const denials = readDenials(value);
    return denials.ok ? denials.value.length : denials.error;
  };
  expect([denial, [denial], [denial, denial]].map(read)).toEqual([1, 1, 2]);
  expect(read([denial, { kind: "client" }])).toEqual({ reason: "denial_malformed", field: "1/client" });
  expect(read([denial, [denial]])).toMatchObject({ reason: "denial_malformed" });
  for (const wrong of [[], Array.from({ length: 101 }, () => denial)])
    expect(read(wrong)).toEqual({ reason: "denial_malformed", field: "" });
});

test("a denial, and its end, are on record before they are made and after", async ({ expect }) => {
  const { post, book, events } = door();
  expect(await post("api/revocations", denial)).toEqual([200, { revoked: true }]);
  expect(await post("api/revocations/lift", denial)).toEqual([200, { lifted: true }]);
  expect(await post("api/revocations/lift", denial)).toEqual([200, { lifted: false }]);
  expect(book.slice(0, 6)).toEqual([
    "administration 0",
    "revoked",
    "administration 1",
    "administration 0",
    "lifted",
    "administration 1",
  ]);
  expect(events[0]).toMatchObject({
    who: { operator: "on-call" },
    what: { interaction: "revoke", path: "api/revocations" },
  });
  expect(events[2]).toMatchObject({ what: { interaction: "lift-revocation" } });
});

test("nothing is changed, and no refusal is answered, when the configuration of the isolate cannot be put on record", async ({
  expect,
}) => {
  const { post, book } = door(undefined, () => Promise.reject(new Error("no ledger")));
  expect((await post("api/revocations", denial))[0]).toBe(503);
  expect(book).not.toContain("revoked");
  expect(
    (await door([], () => Promise.reject(new Error("no ledger"))).post("api/revocations", denial))[0],
  ).toBe(503);
});

test("who may change the registry may not revoke by that, nor the other way round", async ({ expect }) => {
  const { post, book } = door(["registry-admin"]);
  for (const path of ["api/revocations", "api/revocations/lift"])
    expect(await post(path, denial), "no reason for a caller who is not admitted").toEqual([
      403,
      expect.not.objectContaining({ reason: expect.anything() }),
    ]);
  expect(book).toEqual(["refusal 0", "refusal 0"]);
  expect((await door().post("api/registry", {}))[0]).toBe(403);
});

test("a document that cannot be denied is a 422 with the place in the document, and nothing is denied", async ({
  expect,
}) => {
  const { post, book, events } = door();
  const [status, said] = await post("api/revocations", { kind: "client", client: "no such id" });
  const refused = { pointer: "/client", status: 422, reason: "denial_malformed" };
  expect([status, said]).toEqual([422, expect.objectContaining(refused)]);
  expect(JSON.stringify(said)).not.toContain("no such id");
  expect((await post("api/revocations/lift", "everything"))[0]).toBe(422);
  expect(book).not.toContain("revoked");
  expect(events[1]?.outcome).toEqual({ status: 422, reason: "denial_malformed" });
});
