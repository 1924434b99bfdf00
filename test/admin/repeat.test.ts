import { expect, test } from "vitest";
import { adminApp } from "#admin/app";
import { instant } from "#kernel/clock";
import { ok } from "#kernel/result";
import type { RequestKeys } from "#limits/request-keys";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const onCall = presented("on-call");

/** The keys of requests of which an earlier attempt may have acted. */
const resumedKeys: RequestKeys = {
  claim: async () => ({
    kind: "claimed",
    attempt: {
      name: "a",
      earlier: { content: "", at: instant(0) },
      sending: async () => {},
      ended: async () => {},
    } as never, // the members that an operator's action uses
  }),
};

/** Repeats an action under a key of which the first outcome is unknown: the status, and the acts. */
async function repeat(path: string, body: object): Promise<readonly [number, readonly string[]]> {
  const acts: string[] = [];
  const app = adminApp({
    ...nobodySignsIn,
    requestKeys: resumedKeys,
    operators: {
      find: async () => ({ ...machine, id: "on-call", roles: ["revoker", "registry-admin"] }),
    },
    registry: {
      ...registryUnasked,
      lift: async () => (acts.push("lift"), ok(true)),
      revoke: async () => (acts.push("revoke"), ok(undefined)),
      apply: async () => (acts.push("apply"), ok({ counts: { added: 1, changed: 0 }, changes: [] })),
      change: async () => (acts.push("change"), ok({ counts: { added: 0, changed: 1 }, changes: [] })),
    },
    ledger: recordsOnly(async () => "counted"),
    clock: () => at,
  });
  const request = new Request(`https://ops.example.org/${path}`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", "idempotency-key": '"k1"' },
  });
  const { status } = await app.request(
    Object.assign(request, { cf: { tlsClientAuth: onCall.tlsClientAuth } }),
  );
  return [status, acts];
}

test("a repeat of an unknown outcome widens nothing: a lift and an added file are refused", async () => {
  expect(await repeat("api/revocations/lift", { kind: "client", client: "x" })).toEqual([409, []]);
  expect(await repeat("api/registry", {})).toEqual([409, []]);
});

test("a repeat of an unknown outcome denies again, and applies a change to the state that it expects", async () => {
  expect(await repeat("api/revocations", { kind: "client", client: "x" })).toEqual([200, ["revoke"]]);
  expect(await repeat("api/registry/changes", {})).toEqual([200, ["change"]]);
});
