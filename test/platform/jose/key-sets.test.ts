import { test } from "vitest";
import type { PublicJwk } from "#identity/jose/jwk";
import { instant } from "#kernel/clock";
import { keySets } from "#platform/keys/key-sets";
import { proveByHolder } from "#platform/keys/prove-by-holder";
import { newKey, sign, type Key } from "../../support/credentials.ts";

const uri = "https://issuer.example.org/jwks";
const [first, second] = [await newKey("ES256", "key-1"), await newKey("ES256", "key-2")];

/** An issuer's key set behind a clock that the test moves. */
function publisher(...keys: readonly PublicJwk[]) {
  let now = 1_000_000;
  let document: unknown = { keys };
  const requests: string[] = [];
  const ask = ({ url }: { readonly url: string }) => {
    requests.push(url);
    return document === undefined ? Promise.reject(new Error("down")) : Promise.resolve(document);
  };
  const sets = keySets(ask, {
    clock: () => instant(now),
    wait: (milliseconds) => scheduler.wait(milliseconds),
    keepAlive: () => {},
  });
  return {
    requests,
    pass: (seconds: number) => (now += seconds * 1_000),
    publish: (next: unknown) => (document = next),
    keys: () => sets.at(uri),
    prove: async (key: Key, kid: string | undefined = key.jwk.kid) => {
      const header = kid === undefined ? { kid: undefined } : { kid };
      const text = await sign(key, { sub: "someone" }, header);
      const proven = await proveByHolder(
        text,
        { alg: "ES256", ...header },
        { keys: [], jwksUri: uri },
        ["ES256"],
        sets,
      );
      return proven.ok ? "proven" : proven.error.reason;
    },
  };
}

test("T18: keys are fetched at the first token, and not again within five minutes", async ({ expect }) => {
  const { prove, pass, requests } = publisher(first.jwk);
  expect(await prove(first)).toBe("proven");
  pass(299);
  expect(await prove(first)).toBe("proven");
  expect(requests).toEqual([uri]);
  pass(1);
  expect(await prove(first)).toBe("proven");
  expect(requests).toHaveLength(2);
});

test("T18: a thousand unknown kids cost one question per half minute", async ({ expect }) => {
  const { prove, pass, requests } = publisher(first.jwk);
  expect(await prove(first)).toBe("proven");
  pass(30);
  const verdicts = await Promise.all(Array.from({ length: 1_000 }, (_, i) => prove(second, `made-up-${i}`)));
  expect(new Set(verdicts)).toEqual(new Set(["key_unknown"]));
  expect(requests).toHaveLength(2);
  pass(29);
  expect(await prove(second, "one-more")).toBe("key_unknown");
  expect(requests).toHaveLength(2);
});

test("T18: a new key proves tokens within half a minute, with or without a kid", async ({ expect }) => {
  const { prove, pass, publish } = publisher(first.jwk);
  expect(await prove(first)).toBe("proven");
  publish({ keys: [second.jwk] });
  expect(await prove(second)).toBe("key_unknown");
  pass(30);
  expect(await prove(second)).toBe("proven");
  expect(await prove(first), "the withdrawn key").toBe("key_unknown");
  publish({ keys: [first.jwk] });
  pass(30);
  const { kid: _name, ...unnamed } = first.jwk;
  expect(await prove({ ...first, jwk: unnamed }, undefined)).toBe("proven");
});

test("T18: while the owner is down its keys are good for an hour, and then there is no verdict", async ({
  expect,
}) => {
  const { prove, pass, publish } = publisher(first.jwk);
  expect(await prove(first)).toBe("proven");
  publish(undefined);
  pass(3_599);
  expect(await prove(first)).toBe("proven");
  pass(1);
  await expect(prove(first)).rejects.toThrow();
});

test("T18: key sets that a registry file may not contain are refused from an address too, and the earlier keys stay", async ({
  expect,
}) => {
  const { keys, pass, publish } = publisher(first.jwk);
  await keys();
  const [{ x, y, kid }] = [second.jwk as Extract<PublicJwk, { kty: "EC" }>];
  const bad: readonly unknown[] = [
    [],
    { keys: [] },
    { keys: [{ kty: "oct", k: "c2VjcmV0" }] },
    { keys: [second.jwk, { kty: "EC", crv: "P-256", kid, x, y, d: "A".repeat(43) }] },
    { keys: [{ kty: "EC", crv: "P-256", kid, x, y: x }] }, // off its curve
    { keys: Array.from({ length: 33 }, () => second.jwk) },
  ];
  for (const document of bad) {
    publish(document);
    pass(301);
    expect(await keys(), JSON.stringify(document)).toEqual([first.jwk]);
  }
  await expect(publisher().keys()).rejects.toThrow();
});

test("T41: metadata lead to an issuer's keys only if they name exactly that issuer; metadata of a different issuer leave it without keys", async ({
  expect,
}) => {
  const iss = "https://issuer.example.org/a";
  const address = `${iss}/.well-known/openid-configuration`;
  let [metadata, now]: [unknown, number] = [
    { issuer: iss, jwks_uri: uri, token_endpoint: "https://elsewhere.example.org" },
    1_000_000,
  ];
  const requests: string[] = [];
  const sets = keySets(
    async ({ url }) => {
      requests.push(url);
      return url === uri ? { keys: [first.jwk] } : metadata;
    },
    { clock: () => instant(now), wait: (milliseconds) => scheduler.wait(milliseconds), keepAlive: () => {} },
  );
  expect(await sets.at(address, iss)).toEqual([first.jwk]);
  expect(await sets.anew(address, iss)).toEqual([first.jwk]);
  expect(requests).toEqual([address, uri]);
  for (const other of [`${iss}/`, "https://issuer.example.org/b", undefined])
    await expect(sets.at(address, other), other).rejects.toThrow("name another issuer");

  for (const bad of [
    { issuer: `${iss}/`, jwks_uri: uri },
    { jwks_uri: uri },
    { issuer: iss },
    { issuer: iss, jwks_uri: "http://a.example" },
  ]) {
    metadata = bad;
    now += 3_600_000;
    await expect(sets.at(address, iss), JSON.stringify(bad)).rejects.toThrow("an issuer's metadata");
    expect(requests.at(-1)).toBe(address); // no request for keys was made
  }
  metadata = { issuer: iss, jwks_uri: `${uri}-2` };
  now += 3_600_000;
  // metadata again: they lead to keys, not further
  await expect(sets.at(address, iss)).rejects.toThrow("a fetched key set is not valid");
  expect(requests.slice(-2)).toEqual([address, `${uri}-2`]);
});
