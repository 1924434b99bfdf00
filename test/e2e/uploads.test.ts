import { afterAll, beforeAll, test } from "vitest";
import { send } from "../../cli/connection/mutual-tls.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await sharedTestStack();
}, 60_000);
afterAll(() => phylax.close());

const body = "x".repeat(5_000_000);

/** The statuses of eight uploads, one after another on one connection. */
async function statusesOf(upload: () => Promise<{ readonly status: number }>): Promise<ReadonlySet<number>> {
  const statuses: number[] = [];
  for (let time = 0; time < 8; time += 1) statuses.push((await upload()).status);
  return new Set(statuses);
}

test("the gateway answers each upload that is too large", async ({ expect }) => {
  const headers = { "content-type": "application/fhir+json" };
  const upload = () => phylax.ask("charting", "Observation", { method: "POST", headers, body });
  expect(await statusesOf(upload)).toEqual(new Set([413]));
});

test("the gateway answers each upload of a caller without a token", async ({ expect }) => {
  const headers = { "content-type": "application/fhir+json" };
  const { dev } = phylax;
  const upload = () =>
    send(dev, phylax.client("charting"), `${dev.fhir}/Observation`, { method: "POST", headers, body });
  expect(await statusesOf(upload)).toEqual(new Set([401]));
});

test("the token endpoint answers each form that is too large", async ({ expect }) => {
  const { dev } = phylax;
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const upload = () =>
    send(dev, phylax.client("telehealth"), dev.tokenEndpoint, { method: "POST", headers, body });
  expect(await statusesOf(upload)).toEqual(new Set([413]));
});

test("the operators' door answers each document of an unknown caller", async ({ expect }) => {
  const { dev } = phylax;
  const headers = { "content-type": "application/json" };
  const upload = () =>
    send(dev, phylax.client("telehealth"), `${dev.ops}/api/registry`, { method: "POST", headers, body });
  expect(await statusesOf(upload)).toEqual(new Set([403]));
});
