import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { ownSecrets } from "#platform/config/gateway-config";
import { storedBearers } from "#platform/origins/stored-bearer";
import { Secret } from "#kernel/secret";
import { originAddress } from "#platform/origins/origin-address";
import type { OriginTokens } from "#platform/origins/origin-tokens";

const bearer = (secret: string) =>
  ({
    name: "main",
    url: "https://fhir.example.org/r4",
    credentials: { kind: "bearer", secret },
    forwardClientCert: false,
  }) as const;

const keyed = (secret: string) =>
  ({
    name: "main",
    url: "https://fhir.example.org/r4",
    credentials: {
      kind: "private_key_jwt",
      secret,
      clientId: "phylax",
      tokenEndpoint: "https://fhir.example.org/token",
      scope: "system/*.rs",
    },
    forwardClientCert: false,
  }) as const;
const none: OriginTokens = () => {
  throw new Error("no token was asked for");
};
const place = { clock: () => instant(time), wait: () => Promise.resolve(), keepAlive: () => {} };
let time = 0;
const everywhere = new Map(["LAB_TOKEN", ...ownSecrets].map((name) => [name, new Set(["fhir.example.org"])]));
const at = (
  origin: Parameters<typeof originAddress>[0],
  secret: unknown,
  tokens = none,
  secretHosts = everywhere,
) =>
  originAddress(origin, {
    secrets: { valueOf: () => secret, secretHosts },
    tokens,
    bearers: storedBearers(place),
  });

test("an origin's bearer token is the secret that its entry names, and its absence a fault that names it", ({
  expect,
}) => {
  const { bearer: held } = at(bearer("LAB_TOKEN"), "a-token");
  expect(held instanceof Secret && held.reveal()).toBe("a-token");
  expect(() => at(bearer("LAB_TOKEN"), undefined)).toThrow("LAB_TOKEN");
});

test("a header of an entry has the value that the entry gives, or the secret that it names for this host", ({
  expect,
}) => {
  const headers = { "x-tenant": { value: "north" }, "x-api-key": { secret: "LAB_TOKEN" } };
  const entry = { ...bearer("LAB_TOKEN"), headers };
  const found = at(entry, "a-secret").headers.map(([name, value]) => [
    name,
    value instanceof Secret && value.reveal(),
  ]);
  expect(found).toEqual([
    ["x-tenant", "north"],
    ["x-api-key", "a-secret"],
  ]);
  const elsewhere = new Map([["LAB_TOKEN", new Set(["lab.example.org"])]]);
  expect(() => at({ ...entry, credentials: { kind: "none" } }, "a-secret", none, elsewhere)).toThrow(
    "LAB_TOKEN",
  );
});

test("no entry makes a worker with the core send its own secrets to an origin", ({ expect }) => {
  const configs = ["wrangler.toml", "workers/jobs/wrangler.toml"].map((path) =>
    readFileSync(join(import.meta.dirname, "../../..", path), "utf8"),
  );
  const required = new Set(
    configs.flatMap((config) => /^required = \[(.*)\]$/mu.exec(config)?.[1]?.match(/[A-Z_]+/gu) ?? []),
  );
  expect(required.size).toBeGreaterThan(0);
  expect([...ownSecrets].sort()).toEqual([...required].sort());
  for (const name of required) {
    expect(() => at(bearer(name), "the gateway's own")).toThrow(name);
    expect(() => at(keyed(name), "the gateway's own")).toThrow(name);
  }
});

test("a secret goes only to the hosts that the deployment lists for it, whatever the registry contains", ({
  expect,
}) => {
  const only = (host: string) => new Map([["LAB_TOKEN", new Set([host])]]);
  for (const host of ["fhir.example.org", "fhir.example.org:8443"]) {
    const there = { ...bearer("LAB_TOKEN"), url: `https://${host}/r4` } as ReturnType<typeof bearer>;
    expect(at(there, "a-token", none, only(host)).bearer, host).toBeInstanceOf(Secret);
    const elsewhere = {
      ...bearer("LAB_TOKEN"),
      url: "https://fhir.example.org.evil/r4",
    } as unknown as ReturnType<typeof bearer>;
    expect(() => at(elsewhere, "a-token", none, only(host)), host).toThrow("LAB_TOKEN");
  }
  expect(() => at(bearer("LAB_TOKEN"), "a-token", none, new Map())).toThrow("LAB_TOKEN");
  expect(() => at(bearer("OTHER_TOKEN"), "a-token", none, only("fhir.example.org"))).toThrow("OTHER_TOKEN");
  // A key signs for its token endpoint as well, and the token from there goes to the origin.
  const asked: OriginTokens = () => ({
    current: () => Promise.resolve(new Secret("x")),
    anew: () => Promise.resolve(new Secret("x")),
  });
  expect(() => at(keyed("LAB_TOKEN"), "{}", asked, only("fhir.example.org"))).not.toThrow();
  const endpoint = {
    ...keyed("LAB_TOKEN"),
    credentials: { ...keyed("LAB_TOKEN").credentials, tokenEndpoint: "https://evil.example/token" },
  };
  expect(() =>
    at(endpoint as unknown as ReturnType<typeof keyed>, "{}", asked, only("fhir.example.org")),
  ).toThrow("LAB_TOKEN");
});

test("a bearer token in a Secrets Store is read again each minute, and when the origin takes it no more, without a restart", async ({
  expect,
}) => {
  let [value, reads, isDown] = ["first", 0, false];
  const store = {
    get: () => {
      reads += 1;
      return isDown ? Promise.reject(new Error("the store is down")) : Promise.resolve(value);
    },
  };
  time = 1_000_000;
  const source = at(bearer("LAB_TOKEN"), store).bearer;
  if (source === undefined || source instanceof Secret) throw new Error("it is not asked for again");
  const first = await source.current();
  expect(first.reveal()).toBe("first");
  await source.current();
  expect(reads).toBe(1);
  time += 10_000;
  expect(await source.anew(), "an unchanged token is not a new token").toBe(first);
  value = "second";
  time += 5_000;
  expect((await source.anew()).reveal(), "the origin answered 401").toBe("second");
  value = "third";
  time += 60_000;
  expect((await source.current()).reveal()).toBe("third");
  isDown = true;
  time += 61_000;
  expect((await source.current()).reveal(), "for an hour the last token is used").toBe("third");
  time += 3_600_000;
  await expect(source.current()).rejects.toThrow();
});
