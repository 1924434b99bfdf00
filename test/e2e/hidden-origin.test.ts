import { afterAll, beforeAll, test, vi } from "vitest";
import { AnswerWatch } from "../support/answer-watch.ts";
import { mentionsOf } from "../support/hidden-origin.ts";
import { ownAddresses } from "../support/own-addresses.ts";
import { patience } from "../support/patience.ts";
import { sharedTestStack, type TestStack } from "../support/stack.ts";

// Every test of this folder asks through a stack that watches its answers and fails at its end if an answer
// named the origin. This file shows that the watch works: a search's answer names the gateway, so a watch
// for the gateway's own address must see it.
let phylax: TestStack;
beforeAll(async () => {
  phylax = await sharedTestStack();
  await phylax.ask("telehealth", "Patient/amara-okafor"); // gets its token
}, 60_000);
afterAll(() => phylax.close());

/** Waits until an answer was read to its end, which is shortly after the client has it. */
async function watchFor(hidden: string, ask: () => Promise<unknown>): Promise<AnswerWatch> {
  const watch = new AnswerWatch(hidden);
  await ask();
  await vi.waitUntil(() => watch.answers > 0, { ...patience, interval: 10 });
  return watch;
}

test("an address in a body fails the run, and the request is named", async ({ expect }) => {
  const watch = await watchFor(phylax.dev.gateway, () =>
    phylax.ask("telehealth", "Observation?patient=amara-okafor"),
  );
  expect(watch.answers).toBe(1);
  expect(() => watch.end()).toThrow(/GET \/v1\/fhir\/main\/Observation\?patient=amara-okafor/u);
});

test("an address in a header fails the run", async ({ expect }) => {
  const headers = { authorization: "Bearer x" };
  const watch = await watchFor(phylax.dev.gateway, () =>
    phylax.ask("telehealth", "Patient/amara-okafor", { headers }),
  );
  // WWW-Authenticate names the resource's metadata (RFC 9728 §5.1)
  expect(() => watch.end()).toThrow(/GET \/v1\/fhir\/main\/Patient/u);
});

test("an answer without the address is read and passes", async ({ expect }) => {
  const watch = await watchFor(phylax.dev.origin, () => phylax.ask("telehealth", "Patient/amara-okafor"));
  expect(watch.answers).toBe(1);
  watch.end();
});

test("no part of the public ledger names the origin either", async ({ expect }) => {
  for (const log of Object.keys(phylax.dev.logs))
    for (const object of ["checkpoint", "frame/0", "tile/0/000", "proof/0"]) {
      const answer = await fetch(`${phylax.dev.ledger}/${log}/${object}`);
      const all = `${JSON.stringify([...answer.headers])}\n${Buffer.from(await answer.arrayBuffer()).toString("latin1")}`;
      expect(mentionsOf(phylax.dev.origin, all), `${log}/${object}`).toEqual([]);
    }
});

test("every spelling is seen in every place, and a similar text is not", ({ expect }) => {
  const origin = "http://127.0.0.1:37213/fhir";
  for (const address of ownAddresses(origin))
    for (const text of [
      address,
      `"${address}"`,
      JSON.stringify({ a: [address] }),
      encodeURIComponent(address),
      `x ${address}. y`,
    ])
      expect(mentionsOf(origin, text), text).not.toEqual([]);
  for (const text of [
    "127.0.0.1",
    "127.0.0.1:372130",
    "localhost:8443",
    "https://example.org:37213/",
    "37213",
    "::1",
    "amount 37213",
  ])
    expect(mentionsOf(origin, text), text).toEqual([]);
  expect(mentionsOf("https://fhir.example.org/r4", "https://FHIR.example.org:443/r4")).not.toEqual([]);
});
