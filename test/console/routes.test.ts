import { createHash } from "node:crypto";
import { Hono } from "hono";
import { describe, test } from "vitest";
import { type Role, roles } from "#admin/operator";
import type { Approvals } from "#admin/ports";
import { htmlAnswer } from "#console/answers";
import { addConsole } from "#console/app";
import { SessionSeal, type ConsoleSession } from "#console/session";
import { instant } from "#kernel/clock";
import { err, ok } from "#kernel/result";
import { Secret } from "#kernel/secret";
import { nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

/*
 * Every address of the console, from its own table of routes: a new route is under these tests without a line here.
 */
const [ada, eve] = [presented("ada"), presented("eve")];
const ops = "https://ops.example.org";
const demand = { iss: "https://login.example.org", sub: "ada", maxAgeSeconds: 900 };
const sealingKey = new Secret(new Uint8Array(32).fill(7));
const seal = new SessionSeal([sealingKey]);
const session: ConsoleSession = {
  operator: "ada",
  x5t: ada.x5t,
  signIn: {
    issuer: demand.iss,
    subject: "ada",
    tokenId: "t",
    amr: [],
    authTime: Math.floor(at / 1000),
  },
  formToken: "form-token",
};

/** The console for a person with every role; `acted` lists the acts that reached a desk. */
function consoleApp(approvals: Approvals = "one-person", rolesNow: () => readonly Role[] = () => roles) {
  const acted: string[] = [];
  const desk = (name: string) => async () => {
    acted.push(name);
    return err({ reason: "stale", pointer: "", problem: "" } as const);
  };
  const app = new Hono();
  addConsole(app, {
    admin: {
      ...nobodySignsIn,
      approvals,
      proposals: {
        ...nobodySignsIn.proposals,
        propose: async (document) => {
          acted.push(`propose ${JSON.stringify(document)}`);
          return ok({ proposal: "0".repeat(32), digest: "", expiresAt: 0, opens: [] });
        },
        list: async () => [],
      },
      operators: {
        find: async (x5t) =>
          x5t === ada.x5t
            ? { id: "ada", status: "active", roles: rolesNow(), kind: "person", signIn: demand }
            : x5t === eve.x5t
              ? { id: "eve", status: "active", roles, kind: "person", signIn: demand }
              : undefined,
      },
      registry: {
        ...registryUnasked,
        show: async () => ({ digest: `sha256:${"0".repeat(64)}`, registry: {} }),
        clients: async () => [],
        plan: desk("plan"),
        change: desk("change"),
        apply: desk("apply"),
        revoke: async () => {
          acted.push("revoke");
          return ok(undefined);
        },
        lift: async () => {
          acted.push("lift");
          return ok(true);
        },
      },
      alerts: {
        ...nobodySignsIn.alerts,
        silence: async () => {
          acted.push("silence");
          return "0".repeat(32);
        },
        endSilence: async () => {
          acted.push("unsilence");
          return true;
        },
      },
      requestKeys: {
        claim: async () => {
          acted.push("claim");
          return { kind: "busy", retryAfterSeconds: 1 };
        },
      },
      ledger: recordsOnly(async () => "counted"),
      clock: () => instant(at),
    },
    places: {
      clientId: "console",
      ledger: "https://ledger.example.org",
      rootKey: "k",
      witnesses: [],
      gateway: "https://gateway.example.org",
    },
    sealingKeys: [sealingKey],
    issuers: {
      authorizationEndpoint: async () => "https://login.example.org/auth",
      endSessionEndpoint: async () => undefined,
      redeem: async () => undefined,
    },
    health: () => Promise.reject(new Error("down")),
    ends: async () => [],
    denials: async () => [],
    traffic: async () => [],
    ages: async () => [],
    waiting: async () => ({ reviews: { count: 1, since: instant(at) }, proposals: undefined }),
    origins: async () => ({}),
    wait: async () => {},
  });
  return { app, acted };
}

interface Asking {
  readonly method?: string;
  /** Undefined: the connection shows no certificate. */
  readonly certificate?: typeof ada | undefined;
  readonly cookie?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly form?: string;
  readonly approvals?: Approvals;
}

const own = { origin: ops, "sec-fetch-site": "same-origin" };
const sessionCookie = async (changes: Partial<ConsoleSession> = {}, by = seal) =>
  `__Host-phylax-console=${await by.sealSession({ ...session, ...changes })}`;

async function ask(
  path: string,
  { method = "GET", certificate = ada, cookie, headers = {}, form, approvals }: Asking,
) {
  const { app, acted } = consoleApp(approvals);
  const request = new Request(`${ops}${path}`, {
    method,
    headers: {
      cookie: cookie ?? (await sessionCookie()),
      ...(form !== undefined && { "content-type": "application/x-www-form-urlencoded" }),
      ...headers,
    },
    ...(form !== undefined && { body: form }),
  });
  const reply = await app.request(
    Object.assign(request, { cf: { tlsClientAuth: certificate.tlsClientAuth } }),
  );
  return { status: reply.status, headers: reply.headers, text: await reply.text(), acted };
}

const routes = consoleApp()
  .app.routes.filter(({ path }) => !path.includes("*"))
  .map(({ method, path }) => ({ method, path: path.replaceAll(/:\w+/gu, "a") }));
const pages = routes.filter(({ method }) => method === "GET").map(({ path }) => path);
const forms = routes.filter(({ method }) => method === "POST").map(({ path }) => path);
/** A browser gets these answers before there is a session: none of them shows data or changes anything. */
const beforeSignIn = new Map([
  ["/console/assets/a", 404],
  ["/console/sign-in", 200],
  ["/console/sign-in/begin", 303],
  ["/console/signed-in", 403], // no sign-in has begun
  ["/console/signed-out", 200],
  ["/console/patients/return", 200],
  ["/console/", 303], // the page without the slash asks
]);

test("the routes are reads and forms, and nothing else", ({ expect }) => {
  expect(pages.length).toBeGreaterThan(20);
  expect(forms.length).toBeGreaterThan(8);
  expect(routes.filter(({ method }) => method !== "GET" && method !== "POST")).toEqual([]);
});

test("each page that is 503 says when to ask again", ({ expect }) => {
  const retryAfter = (status: number) =>
    htmlAnswer("<p>" as never, status, new Headers()).headers.get("retry-after");
  expect([retryAfter(503), retryAfter(404), retryAfter(200)]).toEqual(["2", null, null]);
});

/** No page may frame the answer, no cache may keep it, and no browser may guess its type. */
const faults = ({ headers }: { readonly headers: Headers }): readonly string[] => {
  const policy = headers.get("content-security-policy") ?? "";
  return [
    ...(headers.get("cache-control") === "no-store" ? [] : ["cached"]),
    ...(headers.get("x-content-type-options") === "nosniff" ? [] : ["type guessed"]),
    ...(policy.includes("frame-ancestors 'none'") ? [] : ["framed"]),
    ...(headers.get("x-frame-options") === "DENY" ? [] : ["framed by an old browser"]),
    ...(policy.includes("default-src 'none'") && !policy.includes("unsafe") ? [] : ["scripts"]),
    ...(headers.get("referrer-policy") === "same-origin" ? [] : ["referrer"]),
  ];
};

describe.for(pages.filter((path) => path !== "/console/assets/a"))("GET %s", (path) => {
  test("is neither framed nor cached, with and without a session", async ({ expect }) => {
    expect(faults(await ask(path, {}))).toEqual([]);
    expect(faults(await ask(path, { cookie: "a=b" }))).toEqual([]);
  });

  test("shows nothing to a session that is planted, foreign, sealed by a different key, or sent twice", async ({
    expect,
  }) => {
    const known = beforeSignIn.get(path);
    for (const cookie of [
      "a=b",
      "__Host-phylax-console=planted",
      await sessionCookie({ x5t: eve.x5t }),
      await sessionCookie({ operator: "eve" }),
      await sessionCookie({}, new SessionSeal([new Secret(new Uint8Array(32).fill(8))])),
      `${await sessionCookie()}; __Host-phylax-console=x`,
    ]) {
      const { status, headers } = await ask(path, { cookie });
      expect(
        [status, headers.get("set-cookie")?.includes("__Host-phylax-console=x") ?? false],
        cookie,
      ).toEqual([known ?? 303, false]);
      if (known === undefined) expect(headers.get("location"), cookie).toMatch(/^\/console\/sign-in/u);
    }
  });

  test("answers a certificate that is not the session's", async ({ expect }) => {
    const { status } = await ask(path, { certificate: eve });
    expect(status).toBe(beforeSignIn.get(path) ?? 303);
  });

  test("changes nothing, and takes no form", async ({ expect }) => {
    expect((await ask(path, {})).acted).toEqual([]);
    if (forms.includes(path)) return;
    for (const method of ["POST", "PUT", "PATCH", "DELETE"])
      expect((await ask(path, { method, headers: own, form: "form=form-token" })).status, method).toBe(405);
  });
});

describe.for(forms)("POST %s", (path) => {
  test("refuses a form from elsewhere, and one without the token of the session", async ({ expect }) => {
    for (const [headers, form] of [
      [{ ...own, origin: "https://evil.example" }, "form=form-token"],
      [{ ...own, origin: "null" }, "form=form-token"],
      [{ ...own, "sec-fetch-site": "cross-site" }, "form=form-token"],
      [{ ...own, "sec-fetch-site": "same-site" }, "form=form-token"],
      [{}, "form=form-token"],
      [own, "form=wrong"],
      [own, ""],
    ] as const) {
      const reply = await ask(path, { method: "POST", headers, form });
      const said = JSON.stringify([headers, form]);
      expect([reply.status, reply.acted, reply.headers.get("set-cookie")], said).toEqual([403, [], null]);
      expect(faults(reply), said).toEqual([]);
    }
  });

  test("acts for no session but its own, and by no address", async ({ expect }) => {
    for (const asking of [
      { cookie: "a=b" },
      { cookie: "__Host-phylax-console=planted" },
      { cookie: await sessionCookie({ x5t: eve.x5t }) },
      { certificate: eve },
    ]) {
      const { status, acted } = await ask(path, {
        method: "POST",
        headers: own,
        form: "form=form-token",
        ...asking,
      });
      expect([status, acted]).toEqual([303, []]);
    }
    const named = await ask(`${path}?form=form-token`, { method: "POST", headers: own, form: "" });
    expect([named.status, named.acted]).toEqual([403, []]);
  });

  test("takes the session's own form, and its answer is neither framed nor cached", async ({ expect }) => {
    const reply = await ask(path, { method: "POST", headers: own, form: "form=form-token" });
    expect(reply.status).not.toBe(405);
    expect(reply.headers.get("location")).toBeNull();
    expect(faults(reply)).toEqual([]);
  });

  test("answers no further method", async ({ expect }) => {
    for (const method of ["PUT", "PATCH", "DELETE"]) {
      const reply = await ask(path, { method, headers: own, form: "form=form-token" });
      expect([reply.status, reply.acted], method).toEqual([405, []]);
      expect(reply.headers.get("cache-control"), method).toBe("no-store");
    }
  });
});

test("a change is applied and proposed as it was planned: an edited or unread change is planned first", async ({
  expect,
}) => {
  const planned = createHash("sha256").update('{"a":1}').digest("hex");
  const acts = async (fields: Readonly<Record<string, string>>) => {
    const form = new URLSearchParams({ form: "form-token", once: "o".repeat(32), ...fields }).toString();
    return (await ask("/console/registry/change", { method: "POST", headers: own, form })).acted;
  };
  const change = '{\r\n "a": 1 }'; // as a browser sends the lines
  expect(await acts({ act: "apply", change, planned })).not.toContain("plan");
  for (const [act, fields] of [
    ["apply", { planned }],
    ["propose", { planned }],
    ["apply", {}],
    ["propose", {}],
  ] as const)
    expect(await acts({ act, change: '{"a":2}', ...fields })).toEqual(["plan"]);
});

test("the frame is closed where a page is missing, and where the certificate is", async ({ expect }) => {
  const missing = await ask("/console/nothing", {});
  expect([missing.status, faults(missing)]).toEqual([404, []]);
  const { app } = consoleApp();
  const bare = await app.request(new Request(`${ops}/console`));
  expect([bare.status, faults(bare)]).toEqual([403, []]);
});

test("where two persons decide, the button that lifts a denial makes a proposal", async ({ expect }) => {
  const denial = JSON.stringify({ kind: "client", client: "lab" });
  const form = new URLSearchParams({ form: "form-token", denial }).toString();
  const lifting = { method: "POST", headers: own, form };
  expect((await ask("/console/lift", lifting)).acted).toEqual(["lift"]);
  const { status, acted } = await ask("/console/lift", { ...lifting, approvals: "two-persons" });
  expect([status, acted]).toEqual([
    200,
    [`propose {"kind":"lift","why":"Lift this denial: client lab","denial":${denial}}`],
  ]);
});

test("the navigation and the title name the page that a step leads to", async ({ expect }) => {
  const current = async (path: string, approvals: Approvals) => {
    const denial = JSON.stringify({ kind: "client", client: "lab" });
    const form = new URLSearchParams({ form: "form-token", denial }).toString();
    const { text } = await ask(path, { method: "POST", headers: own, form, approvals });
    return [
      /<title>(.*?) · Phylax<\/title>/u.exec(text)?.[1],
      /<a href="([^"]*)" aria-current="page"/u.exec(text)?.[1],
    ];
  };
  const registry = ["Registry", "/console/registry"];
  expect(await current("/console/deny", "one-person")).toEqual(registry);
  expect(await current("/console/lift", "one-person")).toEqual(registry);
  expect(await current("/console/lift", "two-persons")).toEqual(["Approvals", "/console/approvals"]);
});

test("the live stream loses the links of a lost role at the next look", async ({ expect }) => {
  let held: readonly Role[] = roles;
  const { app } = consoleApp("one-person", () => held);
  const asked = new Request(`${ops}/console/now/live`, { headers: { cookie: await sessionCookie() } });
  const { body } = await app.request(Object.assign(asked, { cf: { tlsClientAuth: ada.tlsClientAuth } }));
  if (body === null) throw new Error("no stream");
  const reader = body.getReader();
  const next = async () => new TextDecoder().decode((await reader.read()).value);
  expect(await next()).toContain('href="/console/events"');
  held = roles.filter((role) => role !== "privacy-officer");
  await next(); // may be of a look before the loss
  const later = await next();
  expect(later).toContain("event: now");
  expect(later).not.toContain('href="/console/events"');
  await reader.cancel();
});
