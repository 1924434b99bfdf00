import { test } from "vitest";
import { adminApp } from "#admin/app";
import { err } from "#kernel/result";
import { nobodySignsIn, recordsOnly, registryUnasked } from "../support/admin-door.ts";
import { at, presented } from "../support/credentials.ts";

/** The operators' door with room for two calls of a sender, and the list of its questions. */
function door() {
  const [keys, book]: [string[], string[]] = [[], []];
  const unused = () => Promise.resolve(err({ reason: "conflict", pointer: "", problem: "" } as const));
  const app = adminApp({
    ...nobodySignsIn,
    calls: {
      limit: ({ key }) => {
        keys.push(key);
        return Promise.resolve({ success: keys.filter((other) => other === key).length <= 2 });
      },
    },
    operators: { find: () => (book.push("operators"), Promise.resolve(undefined)) },
    registry: { ...registryUnasked, apply: unused, revoke: unused as never, lift: unused as never },
    ledger: recordsOnly(() => (book.push("record"), Promise.resolve("counted"))),
    clock: () => at,
    dependencies: () => (book.push("dependencies"), Promise.resolve({})),
  });
  const ask = (path: string, address: string, tlsClientAuth?: object) => {
    const init = path === "/readyz" || path === "/healthz" ? {} : { method: "POST", body: "{}" };
    const headers = { "content-type": "application/json", "cf-connecting-ip": address };
    return app.request(
      Object.assign(new Request(`https://ops.example.org${path}`, { ...init, headers }), {
        cf: { tlsClientAuth },
      }),
    );
  };
  return { ask, keys, book };
}

test("a flood at the operators' door is turned away before the registry, the ledger or a dependency is asked", async ({
  expect,
}) => {
  for (const path of [
    "/readyz",
    "/api/registry",
    "/api/revocations",
    "/api/accounting/suspensions",
    "/anything",
  ]) {
    const { ask, book } = door();
    for (const last of [1, 2]) expect((await ask(path, `192.0.2.${last}`)).status, path).not.toBe(429);
    const before = book.length;
    const refused = await ask(path, "192.0.2.3");
    expect(
      [refused.status, refused.headers.get("retry-after"), refused.headers.get("content-type")],
      path,
    ).toEqual([429, "60", "application/problem+json"]);
    expect(book, path).toHaveLength(before);
    expect((await ask(path, "198.51.100.1")).status, path).not.toBe(429);
  }
});

test("an operator is counted by the certificate that the edge verified, and a revoked certificate is nobody's", async ({
  expect,
}) => {
  const { ask, keys } = door();
  const { tlsClientAuth } = presented("on-call");
  await ask("/api/registry", "192.0.2.1", tlsClientAuth);
  await ask("/api/registry", "192.0.2.1", { ...tlsClientAuth, certRevoked: "1" });
  expect(keys).toEqual([expect.stringMatching(/^ops certificate [0-9a-f]{64}$/u), "ops 192.0.2"]);
});

test("liveness is not counted", async ({ expect }) => {
  const { ask, keys } = door();
  for (let n = 0; n < 5; n += 1) expect((await ask("/healthz", "192.0.2.1")).status).toBe(200);
  expect(keys).toEqual([]);
});
