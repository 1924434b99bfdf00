import { randomInt, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, test } from "vitest";
import { accessToken } from "../../cli/connection/access-token.ts";
import { clientOf, readDevFile } from "../../cli/connection/dev-file.ts";
import { closeConnections, send, type Reply } from "../../cli/connection/mutual-tls.ts";
import { startOrigin } from "../../sandbox/origin/server.ts";
import { freePort } from "../support/free-port.ts";
import { type KillableStack, startKillable } from "../support/killable-stack.ts";
import { inLane } from "../support/lane.ts";
import { starterPolicy } from "../support/outside.ts";

const kills = inLane({ fast: 1, slow: 3, long: 20 });
const jobsAtOnce = 6;
const writesOfJob = 2;
/** A try that was broken off while it sent has its key for some two minutes. */
const patienceMilliseconds = 300_000;

const state = mkdtempSync(join(tmpdir(), "phylax-bundle-jobs-"));
let stack: KillableStack | undefined;
const origin = await startOrigin();
afterAll(async () => {
  await stack?.end();
  await origin.close();
  rmSync(state, { recursive: true, force: true });
});

interface Job {
  readonly name: string;
  readonly status: string;
}

test(
  `after ${kills} kills amid jobs each accepted job ends, and each of its resources is there once`,
  { timeout: kills * (patienceMilliseconds + 60_000) },
  async ({ expect }) => {
    await origin.load([{ resourceType: "Patient", id: "amara" }]);
    const registry = join(state, "origins.json");
    const main = { name: "main", url: origin.url, credentials: { kind: "none" } };
    writeFileSync(
      registry,
      JSON.stringify({
        policies: [starterPolicy("treat")],
        origins: [{ ...main, capabilities: { updateAsCreate: true } }],
      }),
    );
    const port = await freePort();
    const start = async () => {
      stack = startKillable(port, state, origin.url, ["--registry", registry]);
      await stack.ready;
      const dev = readDevFile(state);
      const charting = clientOf(dev, "charting");
      const authorization = `Bearer ${await accessToken(dev, charting)}`;
      return (path: string, body?: object): Promise<Reply> =>
        send(dev, charting, path === "" ? dev.fhir : path, {
          method: body === undefined ? "GET" : "POST",
          headers: {
            authorization,
            ...(body && { "content-type": "application/fhir+json", prefer: "respond-async" }),
          },
          ...(body && { body: JSON.stringify(body) }),
        });
    };

    const jobs: Job[] = [];
    let answered = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      const ask = await start();
      const begun = Array.from({ length: jobsAtOnce }, async () => {
        const name = randomUUID();
        const reply = await ask("", bundleOf(name)).catch(() => undefined);
        if (reply?.status === 202) jobs.push({ name, status: String(reply.headers["content-location"]) });
      });
      // The first jobs are begun, and the last not yet: a client's jobs are done one after the other.
      await wait(randomInt(200, 1_500));
      stack?.killRuntime();
      await Promise.all(begun);
      await stack?.killAll();
      closeConnections();

      const askAgain = await start();
      for (const { status } of jobs.slice(answered)) {
        const until = Date.now() + patienceMilliseconds;
        let reply = await askAgain(status);
        while ([202, 429].includes(reply.status) && Date.now() < until) {
          await wait(1_000);
          reply = await askAgain(status);
        }
        expect(reply.status, reply.text).toBe(200);
        const { entry } = JSON.parse(reply.text) as Answer;
        expect(entry[0]?.resource?.entry.map(({ response }) => response.status)).toEqual(["201", "201"]);
      }
      answered = jobs.length;
      await stack?.killAll();
      closeConnections();
    }
    expect(jobs.length).toBeGreaterThan(0);
    for (const { name } of jobs)
      for (let write = 0; write < writesOfJob; write += 1) {
        const found = await fetch(`${origin.url}/Observation?identifier=urn:phylax:job|${name}-${write}`);
        const { entry = [] } = await found.json<{ readonly entry?: readonly object[] }>();
        expect(entry, name).toHaveLength(1);
      }
    console.log(`${kills} kills, ${jobs.length} jobs`);
  },
);

interface Answer {
  readonly entry: readonly {
    readonly resource?: { readonly entry: readonly { readonly response: { readonly status: string } }[] };
  }[];
}

const bundleOf = (name: string) => ({
  resourceType: "Bundle",
  type: "batch",
  entry: Array.from({ length: writesOfJob }, (_, write) => ({
    request: { method: "POST", url: "Observation" },
    resource: {
      resourceType: "Observation",
      identifier: [{ system: "urn:phylax:job", value: `${name}-${write}` }],
      status: "final",
      category: [
        {
          coding: [
            { system: "http://terminology.hl7.org/CodeSystem/observation-category", code: "laboratory" },
          ],
        },
      ],
      code: { coding: [{ system: "http://loinc.org", code: "718-7" }] },
      subject: { reference: "Patient/amara" },
    },
  })),
});
