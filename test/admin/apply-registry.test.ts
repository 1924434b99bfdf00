import { describe, test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { adminApp } from "#admin/app";
import type { AdminPorts } from "#admin/ports";
import { instant } from "#kernel/clock";
import { ok } from "#kernel/result";
import { machine, nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const registrar = presented("registrar");
const id = "0123456789abcdef0123456789abcdef";

/** The operators' door with a single operator, and the list of steps in order. */
function door(changes: Partial<AdminPorts> = {}) {
  const book: string[] = [];
  const events: AuditEvent[] = [];
  const app = adminApp({
    ...nobodySignsIn,
    operators: {
      find: async (x5t) =>
        x5t === registrar.x5t ? { ...machine, id: "registrar", roles: ["registry-admin"] } : undefined,
    },
    registry: {
      ...registryUnasked,
      apply: async () => {
        book.push("applied");
        return ok({ counts: { added: 1, changed: 0 }, changes: [{ kind: "client", name: "new" }] });
      },
      revoke: async () => ok(undefined),
      lift: async () => ok(false),
    },
    ledger: recordsOnly(async (recorded) => {
      events.push(...recorded);
      book.push(...recorded.map(({ kind, step }) => `${kind} ${step}`));
      return "counted";
    }),
    clock: () => at,
    dependencies: async () => ({ control: true, ledger: false }),
    onFault: ({ name }) => book.push(`fault ${name}`),
    ...changes,
  });
  const post = (
    tlsClientAuth: unknown,
    body = "{}",
    headers: Record<string, string> = { "content-type": "application/json" },
  ) => {
    const request = new Request("https://ops.example.org/api/registry", { method: "POST", body, headers });
    return app.request(Object.assign(request, { cf: { tlsClientAuth } }));
  };
  return { app, post, book, events };
}

const throws = async () => {
  throw new TypeError("a message that must not leave");
};

test("what an operator does is on record before it is done, and its outcome after", async ({ expect }) => {
  const { post, book, events } = door();
  const reply = await post(registrar.tlsClientAuth);
  expect([reply.status, await reply.json()]).toEqual([200, { added: 1, changed: 0 }]);
  expect(book).toEqual(["administration 0", "applied", "administration 1"]);
  expect(events[0]).toMatchObject({
    id,
    who: { operator: "registrar", certificate: registrar.x5t },
    what: {
      interaction: "apply-registry",
      id: "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    }, // SHA-256 of {}
  });
});

test("without a record nothing is applied: 503, and not a word of why", async ({ expect }) => {
  const { post, book } = door({ ledger: recordsOnly(throws) });
  const reply = await post(registrar.tlsClientAuth);
  expect([reply.status, reply.headers.get("content-type")]).toEqual([503, "application/problem+json"]);
  expect(await reply.text()).not.toContain("a message");
  expect(book).toEqual(["fault TypeError"]);
});

test("a document that took longer than fifteen seconds to arrive is not applied: its sender was proven when it began", async ({
  expect,
}) => {
  const arriving = (milliseconds: number) => {
    const times = [at, instant(at + milliseconds)];
    return door({ clock: () => times.shift() ?? at });
  };
  expect((await arriving(15_000).post(registrar.tlsClientAuth)).status).toBe(200);
  const { post, book, events } = arriving(15_001);
  expect((await post(registrar.tlsClientAuth)).status).toBe(408);
  expect(book).toEqual(["refusal 0"]);
  expect(events[0]?.outcome).toEqual({ status: 408, reason: "body_timed_out" });
});

test("while nobody says what is denied, nothing is applied", async ({ expect }) => {
  const { post, book } = door({ denials: throws });
  expect((await post(registrar.tlsClientAuth)).status).toBe(503);
  expect(book).toEqual(["fault TypeError"]);
});

test("a refusal that cannot be recorded is not given either", async ({ expect }) => {
  expect((await door({ ledger: recordsOnly(throws) }).post(undefined)).status).toBe(503);
});

describe("a certificate proves an operator only when", () => {
  const changed = (field: string, value: string) => ({ ...registrar.tlsClientAuth, [field]: value });
  const cases: readonly (readonly [string, unknown, string])[] = [
    ["it is presented", undefined, "certificate_missing"],
    [
      "the edge verified it",
      changed("certVerified", "FAILED:self signed certificate"),
      "certificate_unverified",
    ],
    ["it is not revoked", changed("certRevoked", "1"), "certificate_revoked"],
    ["it can be read", changed("certRFC9440", "::"), "certificate_malformed"],
    ["the roll has it", presented("another").tlsClientAuth, "operator_unknown"],
  ];
  test.for(cases)("%s", async ([, tlsClientAuth, reason], { expect }) => {
    const { post, book, events } = door();
    const reply = await post(tlsClientAuth);
    const title =
      reason === "certificate_missing"
        ? expect.stringMatching(/^There is no client certificate on this connection\./u)
        : expect.stringMatching(/^An operator's certificate is required\./u);
    expect([reply.status, await reply.json()]).toEqual([403, expect.objectContaining({ title })]);
    expect(book).toEqual(["refusal 0"]);
    expect(events[0]?.outcome).toEqual({ status: 403, reason });
  });
});

test.for([
  [{ status: "suspended", roles: ["registry-admin"] }, "operator_suspended"],
  [{ status: "active", roles: ["registry-administrator", "REGISTRY-ADMIN"] }, "role_missing"],
  [
    { status: "active", roles: ["registry-admin"], kind: "person", signIn: undefined },
    "sign_in_not_registered",
  ],
] as const)("an operator that is %o is refused under its own name", async ([entry, reason], { expect }) => {
  const { post, book, events } = door({
    operators: { find: async () => ({ ...machine, id: "registrar", ...entry }) },
  });
  expect((await post(registrar.tlsClientAuth)).status).toBe(403);
  expect(book).toEqual(["refusal 0"]);
  expect(events[0]).toMatchObject({ who: { operator: "registrar" }, outcome: { reason } });
});

test.for([
  ["application/x-www-form-urlencoded", "{}", 415],
  ["text/plain", "{}", 415],
  ["application/json; charset=latin1", "{}", 415],
  ["application/json", "", 400],
  ["application/json", "\uFEFF{}", 400],
  ["application/json", `{"policies":${"[".repeat(100)}${"]".repeat(100)}}`, 400],
  ["application/json", '{"a":{"b":1,"\\u0062":2}}', 400],
  ["application/json", `"${"x".repeat(1_048_576)}"`, 413],
] as const)(
  "a body of %s that is not one JSON document of at most 1 MiB is refused and not applied",
  async ([type, body, status], { expect }) => {
    const { post, book } = door();
    expect((await post(registrar.tlsClientAuth, body, { "content-type": type })).status).toBe(status);
    expect(book).toEqual(["refusal 0"]);
  },
);

test("an unknown path, another method and a dependency that is down are said in problem details or as not ready", async ({
  expect,
}) => {
  const { app } = door();
  expect((await app.request("/nowhere")).status).toBe(404);
  const put = await app.request("/api/registry", { method: "PUT" });
  expect([put.status, put.headers.get("allow"), put.headers.get("content-type")]).toEqual([
    405,
    "GET, POST",
    "application/problem+json",
  ]);
  const ready = await app.request("/readyz");
  expect([ready.status, await ready.json()]).toEqual([
    503,
    { status: "not ready", dependencies: { control: true, ledger: false } },
  ]);
});
