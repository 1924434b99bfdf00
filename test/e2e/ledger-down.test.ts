import { afterAll, beforeAll, test } from "vitest";
import { breakLedger, inEachShard } from "../support/shards.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack();
}, 60_000);
afterAll(() => phylax.close());

test("when the ledger cannot record, no byte of PHI leaves, by no way out; when it can again, service goes on", async ({ expect }) => {
  const whole = await phylax.ask("telehealth", "Patient/amara-okafor");
  expect(whole.status).toBe(200);
  await Promise.all(Array.from({ length: 20 }, () => phylax.ask("telehealth", "Patient/amara-okafor")));
  const token = await phylax.token("telehealth");

  await inEachShard(phylax, breakLedger);
  const replies = await Promise.all([
    ...Array.from({ length: 20 }, () => phylax.ask("telehealth", "Patient/amara-okafor")),
    phylax.ask("telehealth", "Observation?patient=amara-okafor"),
    phylax.ask("telehealth", "Patient/nobody"), // a refusal that cannot be recorded is no refusal to give either
  ]);
  for (const { status, text, headers } of replies) {
    expect(status).toBe(503);
    expect(JSON.parse(text)).toMatchObject({ resourceType: "OperationOutcome", issue: [{ code: "transient" }] });
    expect(text.toLowerCase()).not.toContain("okafor");
    expect(headers).not.toHaveProperty("phylax-receipt");
  }
  await expect(phylax.token("telehealth"), "no token either: its issue could not be recorded").rejects.toThrow(/no token/u);
  expect(token).toBeTruthy();

  await inEachShard(phylax, "DROP TRIGGER broken");
  expect((await phylax.ask("telehealth", "Patient/amara-okafor")).status).toBe(200);
});
