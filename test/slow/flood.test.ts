import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import { openLedger } from "../support/auditor.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack();
}, 120_000);
afterAll(() => phylax.close());

const limit = 3_000; // of wrangler.toml

test("a flood without credentials is refused by Cloudflare's own counter, and a client with a certificate is still served", async ({
  expect,
}) => {
  const before = (await openLedger(phylax.dev)).length;
  const post = { method: "POST", headers: { "content-type": "text/plain" }, body: "x" };
  const statuses: number[] = [];
  // More than twice the limit: the counter's minute may end on the way.
  while (!statuses.includes(429) && statuses.length < 2 * limit + 100) {
    const round = Array.from({ length: 50 }, () =>
      send(phylax.dev, undefined, phylax.dev.tokenEndpoint, post),
    );
    statuses.push(...(await Promise.all(round)).map(({ status }) => status));
  }
  expect(new Set(statuses)).toEqual(new Set([415, 429]));
  expect(statuses.filter((status) => status === 415).length).toBeGreaterThanOrEqual(limit);
  expect(await phylax.token("telehealth")).toBeTypeOf("string");
  expect((await phylax.ask("telehealth", "Patient/amara-okafor")).status).toBe(200);
  // Refusals are recorded up to the cap, then counted. A request that the counter refused is neither.
  const events = (await openLedger(phylax.dev)).slice(before);
  expect(events.length).toBeLessThan(limit);
}, 120_000);
