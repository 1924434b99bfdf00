import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, test } from "vitest";
import { accessToken } from "../../cli/access-token.ts";
import { clientOf, readDevFile, type DevFile } from "../../cli/dev-file.ts";
import { closeConnections, send, type Reply } from "../../cli/mutual-tls.ts";
import { openLedger } from "../support/auditor.ts";
import { startKillable, type KillableStack } from "../support/killable-stack.ts";
import { freePort } from "../support/stack.ts";

// The full form kills ten times, amid 2,000 requests each: PHYLAX_CRASH=full.
const [rounds, requests] = process.env["PHYLAX_CRASH"] === "full" ? [10, 2_000] : [2, 300];

const state = mkdtempSync(join(tmpdir(), "phylax-accounting-"));
const running: KillableStack[] = [];
afterAll(async () => {
  for (const stack of running) await stack.end();
  rmSync(state, { recursive: true, force: true });
});

async function start(port: number): Promise<KillableStack> {
  const stack = await startKillable(port, state);
  running.push(stack);
  return stack;
}

/** What is asked, of many patients and of one, with and without an answer. */
const asked = [
  ["telehealth", "Patient/amara-okafor"],
  ["telehealth", "Patient?_count=20"],
  ["telehealth", "Observation?patient=amara-okafor&_count=5"],
  ["payer", "Patient/amara-okafor"],
  ["payer", "Patient?_count=50"],
  ["public-health", "Observation?_count=20"],
  ["public-health", "Condition?_count=20"],
  ["operations", "Patient?_count=10"],
  ["research", "Observation?_count=20"],
  ["patient-app", "Patient/amara-okafor"],
  ["patient-app", "Patient/nobody"],
  ["payer", "DiagnosticReport?_count=3"],
  ["telehealth", "Patient/amara-okafor/$everything?_count=40"],
  ["lapsed", "Patient/amara-okafor"],
] as const;

type Asker = (typeof asked)[number][0] | "privacy-officer";

async function asAll(dev: DevFile): Promise<(client: Asker, path: string) => Promise<Reply>> {
  const ids = [...new Set<Asker>([...asked.map(([id]) => id), "privacy-officer"])].filter((id) => id !== "lapsed");
  const tokens = new Map<Asker, string>(await Promise.all(ids.map(async (id) => [id, await accessToken(dev, clientOf(dev, id))] as const)));
  return (id, path) => {
    const headers = { authorization: `Bearer ${tokens.get(id) ?? "none"}` };
    return send(dev, clientOf(dev, id), `${dev.fhir}/${path}`, { headers });
  };
}

/** Sends them all at once, and kills the runtime when so many answers told of patients. How many did in the end. */
async function askUntilKilled(dev: DevFile, stack: KillableStack, killAfter: number): Promise<number> {
  const ask = await asAll(dev);
  let told = 0;
  const one = async (i: number): Promise<void> => {
    const [client, path] = asked[i % asked.length] ?? asked[0];
    try {
      const { status } = await ask(client, path);
      if (status === 200 && ++told === killAfter) stack.killRuntime();
    } catch {
      return; // it was killed
    }
  };
  await Promise.all(Array.from({ length: requests }, (_, i) => one(i)));
  closeConnections();
  return told;
}

/** Of each patient, every disclosure in the opened leaves: counted by nothing but the records themselves. */
async function countedByAuditor(dev: DevFile): Promise<Map<string, string[]>> {
  const counted = new Map<string, string[]>();
  for (const { event } of await openLedger(dev)) {
    if (event.kind !== "disclosure") continue;
    for (const { patient, counts } of event.patients) {
      const line = lineText(event.at, event.who?.client, event.why?.purposes, Object.entries(counts));
      counted.set(patient, [...(counted.get(patient) ?? []), line]);
    }
  }
  return counted;
}

const lineText = (
  at: number,
  client: string | undefined,
  purposes: readonly string[] | undefined,
  counts: readonly (readonly [string, number])[],
) =>
  [
    new Date(at).toISOString(),
    client,
    purposes?.join(),
    counts
      .map(([type, n]) => `${type} ${n}`)
      .toSorted()
      .join(", "),
  ].join(" | ");

interface Told {
  readonly recorded: string;
  readonly purposeOfEvent: readonly { readonly coding: readonly { readonly code: string }[] }[];
  readonly agent: readonly { readonly requestor: boolean; readonly who: { readonly identifier?: { readonly value: string } } }[];
  readonly entity: readonly {
    readonly what?: { readonly reference: string };
    readonly detail?: readonly { readonly type: string; readonly valueString?: string }[];
  }[];
}

function toldText({ recorded, purposeOfEvent, agent, entity }: Told): string {
  const disclosed = entity.flatMap(({ detail = [] }) => detail).find(({ type }) => type === "disclosed")?.valueString ?? "";
  const counts = disclosed === "that nothing was found" ? [] : disclosed.split(", ").map((text) => text.split(" "));
  const codes = purposeOfEvent.flatMap(({ coding }) => coding.map(({ code }) => code));
  const client = agent.find(({ requestor }) => requestor)?.who.identifier?.value;
  return lineText(
    Date.parse(recorded),
    client,
    codes,
    counts.map(([type = "", n]) => [type, Number(n)] as const),
  );
}

test(
  `the runtime is killed amid ${requests} mixed requests, ${rounds} times: every patient's accounting is what an auditor counts in the opened leaves`,
  { timeout: rounds * (120_000 + requests * 100) },
  async ({ expect }) => {
    const port = await freePort();
    let stack = await start(port);
    for (let round = 0; round < rounds; round++) {
      const killAfter = Math.ceil((requests * (round + 0.5)) / rounds / 2); // early in the first round, late in the last
      const told = await askUntilKilled(readDevFile(state), stack, killAfter);
      await stack.end();
      expect(told, "answers that told of patients").toBeGreaterThanOrEqual(killAfter);
      stack = await start(port);
      const dev = readDevFile(state);
      const counted = await countedByAuditor(dev);
      expect(counted.size).toBeGreaterThan(10);
      const ask = await asAll(dev);
      const snapshot = new Date().toISOString(); // an accounting of one record of a person is a disclosure of the others
      let lines = 0;
      for (const [patient, expected] of counted) {
        const id = patient.slice(patient.lastIndexOf("/") + 1);
        const { status, text } = await ask("privacy-officer", `Patient/${id}/$disclosures?all=true`);
        expect(status, text).toBe(200);
        const bundle = JSON.parse(text) as { entry: { search: { mode: string }; resource: Told }[] };
        const own = bundle.entry.flatMap(({ search, resource }) => {
          const isOwn = search.mode === "match" && resource.entity[0]?.what?.reference === `Patient/${id}`;
          return isOwn && resource.recorded < snapshot ? [toldText(resource)] : [];
        });
        expect(own.toSorted(), patient).toEqual(expected.toSorted());
        lines += own.length;
      }
      console.log(`round ${round + 1}: ${counted.size} patients, ${lines} lines, all as counted`);
    }
    await stack.end();
  },
);
