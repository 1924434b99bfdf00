import * as fc from "fast-check";
import { parseList } from "structured-headers";
import { test } from "vitest";
import { instant } from "#kernel/clock";
import { exhaustedHeaders, rateLimitHeaders } from "#limits/headers";

const budget = {
  policy: "default" as const,
  limit: 6_000,
  windowSeconds: 60,
  remaining: 412,
  resetSeconds: 17,
  livesUntil: instant(0),
};

test("the headers follow draft-ietf-httpapi-ratelimit-headers-11", ({ expect }) => {
  expect(rateLimitHeaders([budget])).toEqual({
    "RateLimit-Policy": '"default";q=6000;w=60',
    RateLimit: '"default";r=412;t=17',
  });
  const records = { ...budget, policy: "records" as const, limit: 500, windowSeconds: 3_600, remaining: 3 };
  expect(
    rateLimitHeaders([budget, { ...budget, policy: "subject", limit: 60, remaining: 0 }, records]),
  ).toEqual({
    "RateLimit-Policy": '"default";q=6000;w=60, "subject";q=60;w=60, "records";q=500;w=3600;qu="records"',
    RateLimit: '"default";r=412;t=17, "subject";r=0;t=17, "records";r=3;t=17',
  });
});

test("each header is a list of strings by RFC 9651, with the same policies in both, for every quota", ({
  expect,
}) => {
  const name = fc.constantFrom("default" as const, "subject" as const, "records" as const);
  const count = fc.integer({ min: 0, max: 1_000_000_000 });
  const budgets = fc.uniqueArray(
    fc.record({
      policy: name,
      limit: count,
      windowSeconds: fc.integer({ min: 1, max: 31 * 86_400 }),
      remaining: count,
      resetSeconds: count,
      livesUntil: fc.constant(instant(0)),
    }),
    { selector: ({ policy }) => policy, minLength: 1 },
  );
  fc.assert(
    fc.property(budgets, (spent) => {
      const { "RateLimit-Policy": policies = "", RateLimit: limits = "" } = rateLimitHeaders(spent);
      const written = parseList(limits).map(([policy, parameters]) => [
        policy,
        parameters.get("r"),
        parameters.get("t"),
      ]);
      expect(written).toEqual(
        spent.map(({ policy, remaining, resetSeconds }) => [policy, remaining, resetSeconds]),
      );
      const known = parseList(policies).map(([policy, parameters]) => [
        policy,
        parameters.get("q"),
        parameters.get("w"),
        parameters.get("qu"),
      ]);
      expect(known).toEqual(
        spent.map(({ policy, limit, windowSeconds }) => [
          policy,
          limit,
          windowSeconds,
          policy === "records" ? "records" : undefined,
        ]),
      );
    }),
  );
});

test("Retry-After is a whole number and never earlier than t, for any jitter", ({ expect }) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 86_400 }),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (resetSeconds, jitter) => {
        const exhausted = {
          ...budget,
          remaining: 0,
          resetSeconds,
          retryAfterSeconds: resetSeconds,
          reason: "quota_exhausted",
        } as const;
        const header = exhaustedHeaders(exhausted, [], jitter)["Retry-After"];
        expect(header).toMatch(/^[0-9]+$/u);
        expect(Number(header)).toBeGreaterThanOrEqual(resetSeconds);
        expect(Number(header)).toBeLessThanOrEqual(resetSeconds + 10);
      },
    ),
  );
});
