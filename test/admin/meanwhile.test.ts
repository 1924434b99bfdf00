import { test } from "vitest";
import { adminApp } from "#admin/app";
import type { Operator } from "#admin/operator";
import type { AuditEvent } from "#audit/event";
import { denialName } from "#identity/denial";
import { ok } from "#kernel/result";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const { x5t, tlsClientAuth } = presented("on-call");
const roles = ["revoker", "registry-admin", "privacy-officer"];
const operator: Operator = { ...machine, id: "on-call", roles };

/** Changes to an operator between the proof of a request and its act. */
const changes = {
  "the certificate is denied": { denials: new Set([denialName({ kind: "certificate", x5t })]) },
  "the operator is suspended": { operator: { ...operator, status: "suspended" } },
  "the role is taken away": { operator: { ...operator, roles: ["auditor"] } },
  "the operator is removed": { operator: undefined },
} as const satisfies Readonly<
  Record<string, { readonly denials?: ReadonlySet<string>; readonly operator?: Operator | undefined }>
>;

/** The operators' door. The change happens together with the record of the intent. */
function door(change: object | "no answer" | undefined) {
  const [acts, events]: [string[], AuditEvent[]] = [[], []];
  let now: { readonly operator: Operator | undefined; readonly denials: ReadonlySet<string> } | "no answer" =
    {
      operator,
      denials: new Set<string>(),
    };
  const known = <T>(of: (state: Exclude<typeof now, string>) => T) =>
    now === "no answer" ? Promise.reject(new Error("control is away")) : Promise.resolve(of(now));
  const act = (name: string) => (acts.push(name), Promise.resolve(ok(undefined)));
  const app = adminApp({
    ...nobodySignsIn,
    operators: { find: () => known((state) => state.operator) },
    denials: () => known((state) => state.denials),
    registry: {
      ...registryUnasked,
      apply: () => (
        acts.push("applied"),
        Promise.resolve(ok({ counts: { added: 0, changed: 0 }, changes: [] }))
      ),
      revoke: () => act("revoked"),
      lift: () => (acts.push("lifted"), Promise.resolve(ok(true))),
    },
    accountings: { hold: () => act("held") },
    ledger: recordsOnly((recorded) => {
      events.push(...recorded);
      if (recorded.some(({ kind, step }) => kind === "administration" && step === 0) && change !== undefined)
        now = change === "no answer" ? change : Object.assign({}, now, change);
      return Promise.resolve("counted");
    }),
    clock: () => at,
  });
  const post = async (path: string, body: string | ReadableStream = "{}") => {
    const init = { method: "POST", body, headers: { "content-type": "application/json" }, duplex: "half" };
    const request = new Request(`https://ops.example.org/${path}`, init);
    return app.request(Object.assign(request, { cf: { tlsClientAuth } }));
  };
  return { post, acts, events };
}

const paths = ["api/registry", "api/revocations", "api/revocations/lift", "api/accounting/suspensions"];

test("an operator who lost the right to act while the request was on its way does not act, and the record says so", async ({
  expect,
}) => {
  for (const [what, change] of Object.entries(changes))
    for (const path of paths) {
      const { post, acts, events } = door(change);
      const reply = await post(path);
      expect([reply.status, acts], `${what}: ${path}`).toEqual([403, []]);
      expect(await reply.text(), "the failed check is not named").not.toContain('"reason"');
      expect(
        events.map(({ kind, step, outcome }) => [kind, step, outcome?.status]),
        `${what}: ${path}`,
      ).toEqual([
        ["administration", 0, undefined],
        ["administration", 1, 403],
      ]);
    }
});

test("nothing is done when it cannot be known at the last moment whether the operator still may", async ({
  expect,
}) => {
  for (const path of paths) {
    const { post, acts } = door("no answer");
    expect([(await post(path)).status, acts], path).toEqual([503, []]);
  }
});

test("an act is done if nothing has changed since it was asked for", async ({ expect }) => {
  for (const path of paths) {
    const { post, acts } = door(undefined);
    expect((await post(path)).status, path).toBe(200);
    expect(acts, path).toHaveLength(1);
  }
});

test("a document whose sender breaks off is refused, and on record", async ({ expect }) => {
  for (const path of paths) {
    const { post, acts, events } = door(undefined);
    const half = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"kind":')),
      pull: (controller) => controller.error(new Error("Network connection lost")),
    });
    expect([(await post(path, half)).status, acts], path).toEqual([400, []]);
    expect(events.map(({ kind, outcome }) => [kind, outcome?.reason])).toEqual([
      ["refusal", "body_incomplete"],
    ]);
  }
});
