import { createHash } from "node:crypto";
import { describe, test } from "vitest";
import type { AuditEvent } from "#audit/event";
import { adminApp, adminVerbs } from "#admin/app";
import type { Verb } from "#admin/administer";
import type { AdminPorts, Approvals } from "#admin/ports";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

const ada = presented("ada");
const id = "0123456789abcdef0123456789abcdef";
const demand = { iss: "https://login.example.org", sub: "ada", acr: ["two-factors"], maxAgeSeconds: 900 };

interface Caller {
  readonly roles?: readonly string[];
  readonly acr?: string;
  readonly token?: boolean;
  readonly certificate?: boolean;
  readonly approvals?: Approvals;
}

/** The door for one person; `acted` lists the acts that reached a desk. */
function doorFor({ roles = [], acr = "two-factors", approvals = "two-persons" }: Caller) {
  const acted: string[] = [];
  const events: AuditEvent[] = [];
  const desk = (name: string) => async () => {
    acted.push(name);
    return err({ reason: "stale", pointer: "", problem: "" } as const);
  };
  const keys = new Map<string, string>();
  const ports: AdminPorts = {
    ...nobodySignsIn,
    approvals,
    operators: {
      find: async (x5t) =>
        x5t === ada.x5t ? { id: "ada", status: "active", roles, kind: "person", signIn: demand } : undefined,
    },
    signIns: {
      verify: async () =>
        ok({
          issuer: demand.iss,
          subject: "ada",
          tokenId: "t",
          keyId: "k",
          binding: { kind: "certificate", x5t: ada.x5t },
          acr,
          amr: [],
          authTime: Math.floor(at / 1000),
        }),
    },
    registry: {
      ...registryUnasked,
      apply: async (_document, mayOpen) =>
        mayOpen ? await desk("apply")() : err({ reason: "approval_required", pointer: "", problem: "opens" }),
      change: async (_document, mayOpen) =>
        mayOpen
          ? await desk("change")()
          : err({ reason: "approval_required", pointer: "", problem: "opens" }),
      revoke: async () => ok(undefined),
      lift: async () => {
        acted.push("lift");
        return ok(true);
      },
    },
    requestKeys: {
      claim: async ({ key, request }) => {
        const known = keys.get(key);
        if (known !== undefined && known !== request) return { kind: "other" };
        keys.set(key, request);
        return { kind: "done", result: "{}" };
      },
    },
    ledger: recordsOnly(async (recorded) => {
      events.push(...recorded);
      return "counted";
    }),
    clock: () => instant(at),
    onFault: ({ name }) => acted.push(`fault ${name}`),
  };
  return { app: adminApp(ports), verbs: adminVerbs(ports), acted, events };
}

/** Asks a verb's address as a caller, with a document of its own form where the form matters. */
async function ask(
  verb: Verb,
  caller: Caller,
  { headers = {}, body = "{}" }: { readonly headers?: Record<string, string>; readonly body?: string } = {},
) {
  const door = doorFor(caller);
  const send = (more: Record<string, string> = {}, document = body) => {
    const request = new Request(`https://ops.example.org/${verb.path.replace("{proposal}", id)}`, {
      method: verb.method,
      ...(verb.method === "POST" && { body: document }),
      headers: {
        "content-type": "application/json",
        ...(caller.token !== false && { authorization: "Bearer token" }),
        ...headers,
        ...more,
      },
    });
    const cf = caller.certificate === false ? {} : { tlsClientAuth: ada.tlsClientAuth };
    return door.app.request(Object.assign(request, { cf }));
  };
  const reply = await send();
  return { ...door, send, status: reply.status, reason: door.events.at(-1)?.outcome?.reason };
}

const { verbs } = doorFor({});
const rows = verbs.map((verb): [string, Verb] => [`${verb.method} /${verb.path}`, verb]);

/** Each verb that changes something: only a second person's approval lets it open access. */
const changing: Readonly<Record<string, "may open access" | "opens nothing" | "is the way of two persons">> =
  {
    "change-registry": "may open access",
    "apply-registry": "may open access",
    "lift-revocation": "may open access",
    propose: "is the way of two persons",
    approve: "is the way of two persons",
    "close-proposal": "is the way of two persons",
    "suspend-operator": "opens nothing",
    "remove-operator": "opens nothing",
    revoke: "opens nothing",
    "record-origin-probe": "opens nothing",
    "suspend-accounting": "opens nothing",
    "restore-ledger": "opens nothing",
    "close-review": "opens nothing",
    "confirm-case": "opens nothing",
    "open-case": "opens nothing",
    "void-case": "opens nothing",
    "extend-case": "opens nothing",
    "accept-case": "opens nothing",
    "deny-case": "opens nothing",
    "end-data-set": "opens nothing",
    "cancel-export": "opens nothing",
    "silence-alerts": "opens nothing",
    "unsilence-alerts": "opens nothing",
    "state-case": "opens nothing",
    "unstate-case": "opens nothing",
    "find-notices": "opens nothing",
    "name-notice": "opens nothing",
    "send-notice": "opens nothing",
    "waive-notice": "opens nothing",
    "refile-consents": "opens nothing",
  };

test("each verb that changes something says if it may open access, so that a new verb is not forgotten", ({
  expect,
}) => {
  const changes = verbs.filter((verb) => verb.changes !== "nothing").map(({ interaction }) => interaction);
  expect(new Set(changes)).toEqual(new Set(Object.keys(changing)));
});

test("the table covers each address of the operators' API", ({ expect }) => {
  expect(rows.map(([name]) => name).length).toBeGreaterThan(14);
  expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length);
});

describe.for(rows)("%s refuses", ([, verb]) => {
  const entitled = { roles: verb.roles };

  test("a connection without a certificate", async ({ expect }) => {
    const { status, reason, acted } = await ask(verb, { ...entitled, certificate: false });
    expect([status, reason, acted]).toEqual([403, "certificate_missing", []]);
  });

  test("a person without a token", async ({ expect }) => {
    const { status, reason, acted } = await ask(verb, { ...entitled, token: false });
    expect([status, reason, acted]).toEqual([401, "token_missing", []]);
  });

  test("a sign-in without the second factor", async ({ expect }) => {
    const { status, reason, acted } = await ask(verb, { ...entitled, acr: "password" });
    expect([status, reason, acted]).toEqual([401, "sign_in_too_weak", []]);
  });

  test("an operator with each role that it does not list", async ({ expect }) => {
    const others = ["registry-admin", "registry-reader", "policy-author", "approver", "privacy-officer"]
      .concat("auditor", "revoker", "a-role-of-a-later-version")
      .filter((role) => !verb.roles.some((each) => each === role));
    const { status, reason, acted } = await ask(verb, { roles: others });
    expect([status, reason, acted]).toEqual([403, "role_missing", []]);
  });

  test("a state in If-Match that is not the state", async ({ expect }) => {
    const body = JSON.stringify({ expects: `sha256:${"0".repeat(64)}` });
    const headers = { "if-match": `"sha256:${"1".repeat(64)}"` };
    const { status, reason, acted } = await ask(
      verb,
      { ...entitled, approvals: "one-person" },
      { headers, body },
    );
    expect([status, acted]).toEqual([412, []]);
    expect(reason).toBe(verb.isConditional === true ? "registry_stale" : "state_not_named");
  });

  test.skipIf(verb.changes === "nothing")(
    "an Idempotency-Key that came with a different body",
    async ({ expect }) => {
      const headers = { "idempotency-key": '"0123456789abcdef"' };
      const { send, status, acted, events } = await ask(verb, entitled, { headers });
      expect(status, "the first result").toBe(200);
      expect((await send({}, '{"kind":"other"}')).status).toBe(422);
      expect(events.at(-1)?.outcome?.reason).toBe("idempotency_key_reused");
      expect(acted).toEqual([]);
    },
  );

  test.skipIf(changing[verb.interaction] !== "may open access")(
    "one person's approval of what opens access",
    async ({ expect }) => {
      const { status, reason, acted } = await ask(verb, entitled);
      expect([status, acted]).toEqual([403, []]);
      expect(reason).toMatch(/approval_required$/u);
      expect((await ask(verb, { ...entitled, approvals: "one-person" })).acted, "one-person").toHaveLength(1);
    },
  );
});

test("GET /api/registry has the state's digest as its ETag, and answers 304 to a caller who has the state", async ({
  expect,
}) => {
  const digest = `sha256:${createHash("sha256").update("state").digest("hex")}`;
  const shows = { ...registryUnasked, apply: registryUnasked.change, revoke: async () => ok(undefined) };
  const app = adminApp({
    ...nobodySignsIn,
    operators: {
      find: async () => ({
        id: "ci",
        status: "active",
        roles: ["registry-reader"],
        kind: "machine",
        signIn: undefined,
      }),
    },
    registry: { ...shows, lift: async () => ok(false), show: async () => ({ digest, registry: {} }) },
    ledger: recordsOnly(async () => "counted"),
    clock: () => instant(at),
  });
  const get = (headers: Record<string, string>) => {
    const request = new Request("https://ops.example.org/api/registry", { headers });
    return app.request(Object.assign(request, { cf: { tlsClientAuth: ada.tlsClientAuth } }));
  };
  const etag = (await get({})).headers.get("etag") ?? "";
  expect(etag).toBe(`"${digest}"`);
  expect((await get({ "if-none-match": `"other", W/${etag}` })).status).toBe(304);
  expect((await get({ "if-none-match": '"other"' })).status).toBe(200);
});

test("the API's description and its page name each address, and need no certificate", async ({ expect }) => {
  const { app } = doorFor({});
  const described = await app.request("/api/openapi.json");
  const document: {
    readonly openapi: string;
    readonly paths: Readonly<Record<string, Record<string, unknown>>>;
  } = JSON.parse(await described.text());
  expect([described.status, document.openapi]).toEqual([200, "3.1.0"]);
  const page = await app.request("/api/docs");
  expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
  const text = await page.text();
  expect(text).not.toContain("<script");
  for (const { path, method, interaction, roles } of verbs) {
    const operation = document.paths[`/${path}`]?.[method.toLowerCase()];
    expect(operation).toMatchObject({ operationId: interaction, "x-roles": roles });
    expect(text).toContain(`<code>${method} /${path}</code>`);
  }
  expect(Object.values(document.paths).flatMap(Object.keys)).toHaveLength(verbs.length);
});
