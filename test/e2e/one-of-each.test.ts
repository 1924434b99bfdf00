import { afterAll, beforeAll, test } from "vitest";
import { startTestStack, type TestStack } from "../support/stack.ts";

// One case of each file of test/door, through sockets, TLS and workerd: what a door in the test's own process cannot show.

let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack();
}, 120_000);
afterAll(() => phylax.close());

test("conditional reads: what is known already is 304 without a body, and HEAD is its GET without one", async ({ expect }) => {
  const get = await phylax.ask("telehealth", "Patient/amara-okafor");
  const etag = String(get.headers["etag"]);
  const known = await phylax.ask("telehealth", "Patient/amara-okafor", { headers: { "if-none-match": etag } });
  expect({ status: known.status, text: known.text, etag: known.headers["etag"] }).toEqual({ status: 304, text: "", etag });
  const head = await phylax.ask("telehealth", "Patient/amara-okafor", { method: "HEAD" });
  expect({ status: head.status, text: head.text, etag: head.headers["etag"] }).toEqual({ status: 200, text: "", etag });
});
