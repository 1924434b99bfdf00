import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { startTestStack, type TestStack } from "../support/stack.ts";

const state = mkdtempSync(join(tmpdir(), "phylax-persistence-"));
afterAll(() => rmSync(state, { recursive: true, force: true }));

const bucketOf = ({ stack }: TestStack) =>
  stack.runtime.miniflare.getR2Bucket("LEDGER_BUCKET", "phylax-ledger");

test("the ledger's bucket is retained with the state", async ({ expect }) => {
  const first = await startTestStack({ state });
  await (await bucketOf(first)).put("kept", "by the test");
  await first.close();
  const second = await startTestStack({ state });
  expect(await (await (await bucketOf(second)).get("kept"))?.text()).toBe("by the test");
  await second.close();
});
