import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { phylaxIn } from "../cli/phylax.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";

let phylax: TestStack;
beforeAll(async () => {
  phylax = await startTestStack();
});
afterAll(() => phylax.close());

const command = (...args: readonly string[]) => phylaxIn(phylax.state, ...args, "--state", phylax.state);
const asAuditor = () => {
  const key = phylax.dev.auditors[0]?.key ?? "";
  return ["--key", key, "--ledger", phylax.dev.ledger, "--keys", join(phylax.state, "dev.json")];
};

interface Review {
  readonly grant: string;
  readonly policy: string;
  readonly records: number;
  readonly types: Readonly<
    Record<string, { readonly interactions: readonly string[]; readonly parameters: readonly string[] }>
  >;
  readonly dropped: readonly string[] | null;
  readonly narrower: object | null;
}

/** A client without a use makes the first record; the period of the reviews begins a moment later. */
async function beginPeriod(): Promise<() => readonly string[]> {
  await phylax.ask("research", "Patient/amara-okafor");
  await wait(2_000);
  const from = Date.now();
  await wait(10_000); // longer than the command needs to start
  return () => ["--days", String((Date.now() - from) / 86_400_000)];
}

async function review(...more: readonly string[]): Promise<readonly Review[]> {
  const ended = await command("access", "review", ...more, ...asAuditor(), "--json");
  expect(ended.code, ended.error).toBe(0);
  return JSON.parse(ended.out.slice(0, ended.out.lastIndexOf("]") + 1));
}

/** The demonstration's readings: each client asks for what its purpose needs. */
const traffic: readonly (readonly [client: string, path: string])[] = [
  ["telehealth", "Patient/amara-okafor"],
  ["telehealth", "Patient?family=Okafor"],
  ["telehealth", "Observation?patient=amara-okafor&_count=3"],
  ["telehealth", "Condition?patient=amara-okafor&_include=Condition:subject"],
  ["telehealth", "Observation?patient.family=Okafor&_count=2"],
  ["telehealth", "Patient/amara-okafor/$everything?_count=20"],
  ["payer", "Patient/amara-okafor"],
  ["payer", "Coverage?patient=amara-okafor"],
  ["payer", "Claim?patient=amara-okafor"],
  ["public-health", "Immunization?_count=3"],
  ["operations", "Encounter?_count=3"],
];

/** Status and resources of each answer; ids of answers and links differ each time. */
async function answers(): Promise<readonly string[]> {
  const told: string[] = [];
  for (const [client, path] of traffic) {
    const { status, text } = await phylax.ask(client, path);
    const body: { readonly entry?: readonly { readonly resource?: unknown }[] } = JSON.parse(text);
    told.push(JSON.stringify([client, path, status, body.entry?.map(({ resource }) => resource) ?? body]));
  }
  return told;
}

test("the review of the demonstration's traffic proposes narrower policies, which refuse nothing that was used", async () => {
  const days = await beginPeriod();
  const before = await answers();
  const permitted = before.filter((each) => each.includes(",200,"));
  expect(permitted.length, before.join("\n").slice(0, 2_000)).toBeGreaterThan(8);

  const reviews = await review(...days());
  const of = (client: string) =>
    reviews.filter(({ grant, records }) => grant.startsWith(`${client}/`) && records > 0);
  expect(of("payer")[0]).toMatchObject({
    types: {
      Patient: { interactions: ["read"] },
      Claim: { interactions: ["search"], parameters: ["patient"] },
    },
  });
  expect(
    reviews.filter(({ records }) => records === 0).length,
    "grants without a use are named",
  ).toBeGreaterThan(0);
  const narrowed = reviews.filter(({ narrower }) => narrower !== null);
  expect(new Set(narrowed.map(({ grant }) => grant.split("/")[0]))).toEqual(
    new Set(["telehealth", "payer", "public-health", "operations"]),
  );

  const accepted = await command("access", "review", ...asAuditor(), ...days(), "--accept");
  expect(accepted.code, accepted.error).toBe(0);
  expect(accepted.out, "the plan of the change only narrows").not.toMatch(/^\s+\+ (?!policy|\S+ policy)/mu);
  await wait(10_000); // P4
  expect((await answers()).filter((each) => each.includes(",200,"))).toEqual(permitted);
  expect(
    (await phylax.ask("payer", "Observation?patient=amara-okafor")).status,
    "unused, so refused now",
  ).toBe(403);

  const again = await review(...days());
  expect(
    again.filter(({ dropped }) => dropped !== null && dropped.length > 0),
    "nothing is left to drop",
  ).toEqual([]);
}, 120_000);

test("a ledger of minutes proposes nothing for ninety days, and says since when it has records", async () => {
  for (const each of await review()) expect(each).toMatchObject({ covered: false, narrower: null });
  const said = await command("access", "review", ...asAuditor(), "--remove-unused", "--accept");
  expect(said.out).not.toContain("no use in 90 days");
  expect(said.out).toMatch(/no use on record; records since \S+Z do not cover 90 days: nothing is proposed/u);
  expect((await review()).length, "no grant was removed").toBeGreaterThan(5);
});
