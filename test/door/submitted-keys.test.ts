import { generateKeyPairSync } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hasPrivateKey, withoutPrivateKeys } from "#identity/jose/private-keys";
import { send } from "../../cli/connection/mutual-tls.ts";
import { commandIn } from "../support/in-process/command.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { onExchange } from "../support/in-process/mutual-tls.ts";

let phylax: Door;
beforeAll(async () => {
  phylax = await startDoor();
}, 60_000);
afterAll(() => phylax.close());

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const jwk = { ...privateKey.export({ format: "jwk" }), kid: "by-mistake" };
const secret = String(jwk.d);
const pem = String(privateKey.export({ format: "pem", type: "pkcs8" }));
const registry = {
  clients: [
    { id: "mistaken", kind: "provider", auth: "private_key_jwt", jwks: { keys: [jwk] }, certificates: [pem] },
  ],
};

test("a private key in a submitted document is refused, and the ledger gets the document without it", async () => {
  const { dev } = phylax;
  for (const [path, document] of [
    ["api/registry", registry],
    ["api/registry/changes", { set: registry }],
  ] as const) {
    const { status, text } = await phylax.within(() =>
      send(dev, dev.operators[0], `${dev.ops}/${path}`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(document),
      }),
    );
    expect(status, text).toBe(422);
    expect(text).not.toContain(secret);
  }
  const submitted = (await phylax.records()).flatMap(({ event }) =>
    event.document?.role === "submitted" && event.document.text?.includes("mistaken") === true
      ? [event.document.text]
      : [],
  );
  expect(submitted).toHaveLength(2);
  for (const text of submitted) {
    expect(text).not.toContain(secret);
    expect(text).not.toContain(pem.split("\n")[1]);
    expect(text, "the rest of the document is on record").toContain('"kid":"by-mistake"');
    expect(text).toContain('"d":"removed: a private key"');
    expect(text).toContain('"certificates":["removed: a private key\\n"]');
  }
});

test("the command does not send a file with a private key, and says which file the registry takes", async () => {
  const file = (name: string, content: unknown): string => {
    const path = join(phylax.home, name);
    writeFileSync(path, JSON.stringify(content));
    return path;
  };
  const calls = [
    ["registry", "apply", file("mistaken.json", registry)],
    ["registry", "plan", file("mistaken-plan.json", registry)],
    ["propose", file("mistaken-change.json", { set: registry }), "--why", "a test"],
    ["client", "add", "mistaken", "--jwks", file("mistaken.jwk.json", jwk)],
    ["client", "rotate", "payer", "--jwks", file("mistaken.jwks.json", { keys: [jwk] })],
  ] as const;
  const posts: string[] = [];
  const end = onExchange(({ method }, sent) => void (method === "POST" && posts.push(sent)));
  try {
    for (const call of calls) {
      const { code, error } = await phylax.within(() =>
        commandIn(phylax.home, ...call, "--state", join(phylax.home, ".phylax")),
      );
      expect([code, error], call.join(" ")).toEqual([2, expect.stringContaining("has a private key")]);
      expect(error).not.toContain(secret);
    }
  } finally {
    end();
  }
  expect(posts).toEqual([]);
});

test("a document without a private key is recorded as it is", () => {
  const { d: _, ...half } = jwk;
  const document = {
    clients: [{ jwks: { keys: [half] }, d: "a member d of no key", k: 1 }],
    text: "-----BEGIN CERTIFICATE-----",
  };
  expect(withoutPrivateKeys(document)).toBe(JSON.stringify(document));
  expect([hasPrivateKey(document), hasPrivateKey({ a: [{ jwk }] }), hasPrivateKey(pem)]).toEqual([
    false,
    true,
    true,
  ]);
});
