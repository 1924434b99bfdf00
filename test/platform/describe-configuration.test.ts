import { createHmac, generateKeyPairSync, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { calculateJwkThumbprint } from "jose";
import { test } from "vitest";
import { readEvent } from "#audit/check";
import { configurationEvent } from "#audit/configuration";
import { instant } from "#kernel/clock";
import { gatewayConfig } from "#platform/config/gateway-config";
import { readLedgerConfig } from "#platform/ledger/config";
import { opsConfig } from "#platform/config/ops-config";

type Env = Readonly<Record<string, unknown>>;
const random = (): string => randomBytes(32).toString("base64url");
const pairs = {
  ES256: () => generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: () => generateKeyPairSync("ed25519"),
};
const privateJwk = (kind: keyof typeof pairs, kid?: string) => ({
  ...pairs[kind]().privateKey.export({ format: "jwk" }),
  kid,
});
const publicJwk = (kind: keyof typeof pairs, kid: string) => ({
  ...pairs[kind]().publicKey.export({ format: "jwk" }),
  kid,
});
const key = (kind: keyof typeof pairs, kid?: string): string => JSON.stringify(privateJwk(kind, kid));
const keys = (kind: keyof typeof pairs, ...kids: string[]): string =>
  JSON.stringify({ keys: kids.map((kid) => publicJwk(kind, kid)) });
const version = () => ({ id: random(), tag: "", timestamp: "2026-11-26T00:00:00Z" });

/**
 * For each worker, the reader of its configuration and a generator for each variable and secret. Two calls
 * of a generator give two different values.
 */
const workers: Readonly<
  Record<
    string,
    {
      read: (env: never) => ReturnType<typeof gatewayConfig>["described"];
      make: Record<string, () => unknown>;
    }
  >
> = {
  gateway: {
    read: (env) => gatewayConfig(env).described,
    make: {
      PUBLIC_URL: () => `https://${randomBytes(4).toString("hex")}.example.org`,
      MTLS_URL: () => `https://${randomBytes(4).toString("hex")}.example.org`,
      TRACES: () => `https://${randomBytes(4).toString("hex")}.example.org/v1/traces 0.01`,
      LEDGER_SHARDS: differing(() => String(2 + randomBytes(1).readUInt8())),
      LEDGER_SPREAD: differing(() => String(1 + (randomBytes(1).readUInt8() % 2))),
      ORIGIN_HOSTS: () => `fhir.example.org ${randomBytes(4).toString("hex")}`,
      IDENTITY_HOSTS: () => `idp.example.org ${randomBytes(4).toString("hex")}`,
      SECRET_HOSTS: () => `LAB_TOKEN@${randomBytes(4).toString("hex")}.example.org`,
      // too long to be recorded unchanged
      ACCOUNTING: () => JSON.stringify({ recipients: { [random()]: { name: "x".repeat(6_000) } } }),
      TOKEN_SIGNING_KEY: () => key("ES256", "token-1"),
      TOKEN_VERIFICATION_KEYS: () => keys("ES256", "token-0", "token-2"),
      RESPONSE_SIGNING_KEY: () => key("EdDSA"),
      RESPONSE_VERIFICATION_KEYS: () => keys("EdDSA", "answers-0"),
      PAGING_KEY: random,
      DPOP_NONCE_KEY: random,
      VERSION: version,
      // a registry entry names it
      ORIGIN_TOKEN: () => `a guessable password ${randomBytes(4).toString("hex")}`,
      ORIGIN_KEY: () => key("ES256", "origin-1"),
    },
  },
  ops: {
    read: (env) => opsConfig(env).described,
    make: {
      APPROVALS: differing(() => (randomBytes(1).readUInt8() % 2 === 0 ? "one-person" : "two-persons")),
      OPS_URL: () => `https://${randomBytes(4).toString("hex")}.example.org`,
      LEDGER_SHARDS: differing(() => String(2 + randomBytes(1).readUInt8())),
      IDENTITY_HOSTS: () => `idp.example.org ${randomBytes(4).toString("hex")}`,
      DPOP_NONCE_KEY: random,
      CONSOLE_SESSION_KEY: random,
      VERSION: version,
    },
  },
  ledger: {
    read: (env) => readLedgerConfig(env).described,
    make: {
      LEDGER_NAME: () => `ledger.example.org/${randomBytes(4).toString("hex")}`,
      LEDGER_SHARDS: differing(() => String(2 + randomBytes(1).readUInt8())),
      LEDGER_KEEP_MIB: differing(() => String(2 + randomBytes(1).readUInt8())),
      LEDGER_SETTLE_SECONDS: differing(() => String(1 + (randomBytes(1).readUInt8() % 50))),
      AUDITOR_KEYS: () => ({ keys: [publicJwk("ES256", "auditor-1"), publicJwk("ES256", "auditor-2")] }),
      WITNESSES: () => [{ url: "https://witness.example.org", key: random() }],
      CHECKPOINT_KEY: () => key("EdDSA"),
      ACCOUNTING_KEY: random,
      SUBJECT_KEY: random,
      VERSION: version,
    },
  },
};

/** Never gives the same value twice in a row. */
function differing(make: () => string): () => string {
  let last = "";
  return () => {
    let next = make();
    while (next === last) next = make();
    return (last = next);
  };
}

const secretNames = /_KEY$|^ORIGIN_TOKEN$/u;
const envOf = (name: string): Env =>
  Object.fromEntries(Object.entries(workers[name]?.make ?? {}).map(([variable, make]) => [variable, make()]));
const describe = (name: string, env: Env) => {
  const read = workers[name]?.read;
  if (read === undefined) throw new Error(`no worker ${name}`);
  return read(env as never)();
};
const names = Object.keys(workers);

test.for(names)(
  "a configuration of %s describes every variable and secret, and the ledger accepts its record",
  (name, { expect }) => {
    const env = envOf(name);
    const configuration = describe(name, env);
    expect(configuration.worker).toBe(name);
    expect(configuration.settings.map(([variable]) => variable)).toEqual(Object.keys(env).toSorted());
    const event = configurationEvent(configuration, "0".repeat(32), instant(1));
    expect(readEvent(event)).toEqual({ ok: true, value: event });
    expect(
      describe(name, Object.fromEntries(Object.entries(env).toReversed())),
      "in whichever order they come",
    ).toEqual(configuration);
  },
);

test.for(names)(
  "a changed variable or secret of %s changes the digest and its own setting only",
  (name, { expect }) => {
    const makers = workers[name]?.make ?? {};
    // The key that credentials are hashed under changes their fingerprints too.
    const guarded = new Set(name === "gateway" ? ["ORIGIN_TOKEN", "ORIGIN_KEY"] : []);
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(makers)), (variable) => {
        const env = envOf(name);
        const [one, two] = [
          describe(name, env),
          describe(name, { ...env, [variable]: makers[variable]?.() }),
        ];
        expect(two.digest).not.toBe(one.digest);
        const changed = one.settings
          .filter(([, value], i) => two.settings[i]?.[1] !== value)
          .map(([changed]) => changed);
        expect(changed.filter((each) => variable !== "DPOP_NONCE_KEY" || !guarded.has(each))).toEqual([
          variable,
        ]);
      }),
      { numRuns: 60 },
    );
  },
);

test.for(names)(
  "no secret of %s, nor eight characters of a secret, is in its configuration",
  (name, { expect }) => {
    fc.assert(
      fc.property(fc.constant(undefined), () => {
        const env = envOf(name);
        const told = JSON.stringify(describe(name, env));
        for (const [variable, value] of Object.entries(env)) {
          if (!secretNames.test(variable)) continue;
          const text = String(value);
          const secret = text.startsWith("{") ? (JSON.parse(text) as { d: string }).d : text;
          for (let at = 0; at + 8 <= secret.length; at++)
            expect(told.includes(secret.slice(at, at + 8)), variable).toBe(false);
        }
      }),
      { numRuns: 20 },
    );
  },
);

test("a private key is described by the kid and the thumbprint of the public half, and shows a changed private part", async ({
  expect,
}) => {
  const env = envOf("gateway");
  const [own, other] = [privateJwk("ES256", "token-1"), privateJwk("ES256", "token-1")];
  const told = (jwk: object) =>
    new Map(describe("gateway", { ...env, TOKEN_SIGNING_KEY: JSON.stringify(jwk) }).settings).get(
      "TOKEN_SIGNING_KEY",
    );
  expect(JSON.parse(told(own) ?? "")).toEqual({
    kid: "token-1",
    jkt: await calculateJwkThumbprint(own as never),
    fingerprint: createHmac("sha256", JSON.stringify(own))
      .update("phylax configuration v1")
      .digest("base64url"),
  });
  expect(told({ ...own, d: other.d }), "a new private part under the old public part").not.toBe(told(own));
});

test("an array of checkpoint keys is described by the kid and thumbprint of each key, and a key alone as before", async ({
  expect,
}) => {
  const env = envOf("ledger");
  const { d: _, ...earlier } = privateJwk("EdDSA", "ledger-1");
  const next = privateJwk("EdDSA");
  const described = (CHECKPOINT_KEY: string): unknown =>
    JSON.parse(new Map(describe("ledger", { ...env, CHECKPOINT_KEY }).settings).get("CHECKPOINT_KEY") ?? "");
  const fingerprint = (text: string) =>
    createHmac("sha256", text).update("phylax configuration v1").digest("base64url");
  const text = JSON.stringify([next, earlier]);
  const [jkt, earlierJkt] = [
    await calculateJwkThumbprint(next as never),
    await calculateJwkThumbprint(earlier as never),
  ];
  expect(described(text)).toEqual({
    keys: [{ jkt }, { kid: "ledger-1", jkt: earlierJkt }],
    fingerprint: fingerprint(text),
  });
  expect(JSON.stringify(described(text))).not.toContain(next.d);
  const alone = JSON.stringify(next);
  expect(described(alone)).toEqual({ jkt, fingerprint: fingerprint(alone) });
});

test("a random key has the same fingerprint under any name and in any worker; a credential has a different fingerprint in each worker", ({
  expect,
}) => {
  const [shared, credential] = [random(), "hunter2"];
  const gateway = {
    ...envOf("gateway"),
    PAGING_KEY: shared,
    DPOP_NONCE_KEY: shared,
    ORIGIN_TOKEN: credential,
    OTHER_TOKEN: credential,
  };
  const [first, ops] = [
    new Map(describe("gateway", gateway).settings),
    new Map(describe("ops", { ...envOf("ops"), DPOP_NONCE_KEY: shared }).settings),
  ];
  expect(first.get("PAGING_KEY")).toBe(first.get("DPOP_NONCE_KEY"));
  expect(ops.get("DPOP_NONCE_KEY")).toBe(first.get("PAGING_KEY"));
  const elsewhere = new Map(describe("gateway", { ...gateway, DPOP_NONCE_KEY: random() }).settings);
  expect(
    new Set([first.get("ORIGIN_TOKEN"), first.get("OTHER_TOKEN"), elsewhere.get("ORIGIN_TOKEN")]).size,
  ).toBe(3);
});

test("bindings are ignored, and a worker with more settings than fit a record has no configuration that the ledger accepts", ({
  expect,
}) => {
  const env = envOf("ops");
  expect(describe("ops", { ...env, LEDGER_SHARD: { getByName: () => undefined } })).toEqual(
    describe("ops", env),
  );
  const many = Object.fromEntries(Array.from({ length: 600 }, (_, i) => [`SECRET_${i}`, random()]));
  const event = configurationEvent(describe("ops", { ...env, ...many }), "0".repeat(32), instant(1));
  expect(readEvent(event)).toMatchObject({ ok: false, error: { field: "configuration.settings" } });
});
