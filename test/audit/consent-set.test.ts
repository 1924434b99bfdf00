import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { consentSetDigest, consentsInSet } from "#audit/consent-set";

const request = "0123456789abcdef0123456789abcdef";
const version = (n: number) => ({ consent: `pseudonym ${n}`, digest: `${n}`.padStart(64, "0") });
const all = Array.from({ length: 200 }, (_, n) => version(n));
const digestOf = (some: readonly number[]) => consentSetDigest(request, some.map(version)) ?? "";

describe("the digest of a set of Consents", () => {
  test("tells a reader who knows the versions which of them are in the set", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(199), { minLength: 1, maxLength: 200 }), (some) => {
        const found = consentsInSet(request, digestOf(some), all);
        expect(found).toEqual(some.toSorted((a, b) => a - b).map(version));
      }),
      { numRuns: 12 },
    );
  });

  test("is of no known version if one is missing, or for a random value", () => {
    expect(consentsInSet(request, digestOf([1, 2, 300]), all)).toBeUndefined();
    expect(consentsInSet(request, digestOf([1, 2]), all.slice(2))).toBeUndefined();
    expect(consentsInSet(request, "5a".repeat(32), all)).toBeUndefined();
    expect(() => consentsInSet(request, "5a".repeat(32), [...all, version(201)])).toThrow(RangeError);
  });

  test("has 64 digits and differs from request to request; the empty set has none", () => {
    expect(digestOf([1])).toMatch(/^[0-9a-f]{64}$/u);
    expect(consentSetDigest("f".repeat(32), [version(1)])).not.toBe(digestOf([1]));
    expect(consentSetDigest(request, [version(2), version(1)]), "the order is of no account").toBe(
      digestOf([1, 2]),
    );
    expect(consentSetDigest(request, [])).toBeUndefined();
    expect(consentsInSet("f".repeat(32), digestOf([1]), all), "a different request").toBeUndefined();
  });
});
