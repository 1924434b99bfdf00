import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, test } from "vitest";
import type { Denial } from "#identity/denial-document";
import { operatorOf } from "../../cli/connection/dev-file.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { ensureServerCertificate } from "../../sandbox/certificates.ts";
import { startFront, type Front } from "../../sandbox/front/front.ts";
import { inLane, lane } from "../support/lane.ts";
import { listenerOn } from "../support/listener.ts";
import { thumbprint } from "../support/outside.ts";
import { reading, subjects, type Subject } from "../support/revocable.ts";
import { startTestStack, type TestStack } from "../support/stack.ts";
import { steadyLoad } from "../support/steady-load.ts";

// The long lane has 20 rounds with twice as many requests, and prints the figures of docs/revocation.md.
const [rounds, pauseMilliseconds] = inLane<[number, number]>({
  fast: [1, 200],
  slow: [1, 200],
  long: [20, 100],
});
const boundMilliseconds = 10_000;

let phylax: TestStack;
let state = "";
let fronts: readonly Front[] = [];
/** The FHIR base of each gateway, behind its own TLS front: these gateways are under steady load. */
let bases: readonly string[] = [];
/** An additional gateway, which is stopped at times. */
let still: { readonly host: string; readonly port: number };
/** The workerd process of each gateway, first the process of `still`. */
let processes: readonly number[] = [];
beforeAll(async () => {
  state = mkdtempSync(join(tmpdir(), "phylax-revocation-"));
  phylax = await startTestStack({ state, gatewaysElsewhere: 4 });
  const { gateway, gatewaysElsewhere } = phylax.stack.runtime;
  const [first = gateway, ...others] = gatewaysElsewhere;
  still = first;
  fronts = await Promise.all(others.map(frontBefore));
  bases = [phylax.dev.fhir, ...fronts.map(baseOf)];
  processes = [still, gateway, ...others].map(({ port }) => listenerOn(port));
}, 120_000);
afterAll(async () => {
  for (const pid of processes) process.kill(pid, "SIGCONT"); // a failure may have left a process stopped
  for (const front of fronts) await front.close();
  await phylax.close();
  rmSync(state, { recursive: true, force: true });
});

const frontBefore = async (target: typeof still) =>
  startFront({
    port: 0,
    server: await ensureServerCertificate(join(state, "pki")),
    clientCa: phylax.dev.clientCa.cert,
    target,
  });
const baseOf = ({ port }: Front) => `https://localhost:${port}/v1/fhir/main`;

/** An operator's act at the operators' door. */
async function operate(what: "revocations" | "revocations/lift", denial: Denial): Promise<number> {
  const reply = await send(phylax.dev, operatorOf(phylax.dev, undefined), `${phylax.dev.ops}/api/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(denial),
  });
  return reply.status;
}
const revoke = (denial: Denial) => operate("revocations", denial);
const lift = (denial: Denial) => operate("revocations/lift", denial);

/** The answer of the gateways: a single status if they agree. */
async function everywhere(read: Subject["read"]): Promise<number | string> {
  const statuses = new Set(await Promise.all(bases.map(read)));
  const [only = 0] = statuses;
  return statuses.size === 1 ? only : [...statuses].join(" and ");
}

/**
 * Milliseconds until the answer is `status`, with ten requests a second. More than eleven seconds when it
 * never is.
 */
async function until(status: unknown, ask: () => Promise<unknown>): Promise<number> {
  const begun = Date.now();
  while (Date.now() - begun < 11_000) {
    if ((await ask()) === status) return Date.now() - begun;
    await wait(100);
  }
  return Number.POSITIVE_INFINITY;
}

const isGivenToken = async (client: string) => {
  try {
    await phylax.token(client);
    return true;
  } catch (fault) {
    if (!String(fault).includes("invalid_client")) throw fault;
    return false;
  }
};

/**
 * The answers of a gateway under load to a subject, from before the denial until a second past the bound.
 */
interface Measured {
  readonly kind: Denial["kind"];
  /** From the operator's 200 to the last answer with data; 0 if that answer came before. */
  readonly grantedForMilliseconds: number;
  readonly answersAfterTheBound: number;
  readonly statuses: ReadonlySet<number>;
  readonly refusedAs: number;
}

/**
 * Denies each subject its own item, at random moments in the life of a lease, while all subjects read at all
 * gateways.
 */
async function denyUnderLoad(
  all: readonly Subject[],
  standStill: () => Promise<void>,
): Promise<readonly Measured[]> {
  const loads = all.map(({ read }) => bases.map((base) => steadyLoad(() => read(base), pauseMilliseconds)));
  await wait(1_000 + Math.random() * 2_500);
  await standStill();
  const denied = await Promise.all(
    all.map(async ({ denial }) => {
      await wait(Math.random() * 2_000);
      if ((await revoke(denial)) !== 200) throw new Error(`${denial.kind} could not be denied`);
      return Date.now();
    }),
  );
  await wait(Math.max(...denied) + boundMilliseconds + 1_000 - Date.now());
  await Promise.all(loads.flat().map((load) => load.end()));
  return all.flatMap(({ denial: { kind }, refusedAs }, n) =>
    (loads[n] ?? []).map(({ answers }) => {
      const since = denied[n] ?? 0;
      const granted = answers.filter(({ status }) => status === 200).map(({ at }) => at - since);
      return {
        kind,
        grantedForMilliseconds: Math.max(0, ...granted),
        answersAfterTheBound: answers.filter(({ at }) => at - since > boundMilliseconds).length,
        statuses: new Set(answers.map(({ status }) => status)),
        refusedAs,
      };
    }),
  );
}

/**
 * The gateway that is stopped while it has live leases, and gets requests then, like a gateway on an
 * overloaded machine. It answers when `goOn` is called.
 */
async function stillGateway(reads: readonly Subject["read"][]) {
  const [pid = 0] = processes;
  const before = await frontBefore(still);
  // its connections are new: workerd closes a connection that was idle for 5 s, even if it was stopped
  // meanwhile
  const after = await frontBefore(still);
  // So many requests that its leases have tokens left when it stops: without tokens it would ask the guards
  // first.
  const loads = [...reads, ...reads, ...reads].map((read) => steadyLoad(() => read(baseOf(before)), 50));
  let asked: Promise<readonly number[]> = Promise.resolve([]);
  return {
    async standStill() {
      // no answer has passed the last check and waits to be sent
      await Promise.all(loads.map((load) => load.end()));
      process.kill(pid, "SIGSTOP");
      asked = Promise.all(reads.map((read) => read(baseOf(after))));
    },
    async goOn() {
      process.kill(pid, "SIGCONT");
      const statuses = await asked;
      await Promise.all([before.close(), after.close()]);
      return statuses;
    },
  };
}

/** Prints the figures of docs/revocation.md. */
function say(measured: readonly Measured[]): void {
  for (const [kind, of] of Map.groupBy(measured, (one) => one.kind)) {
    const sorted = of.map(({ grantedForMilliseconds }) => grantedForMilliseconds).sort((a, b) => a - b);
    const [median, last] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted.at(-1)];
    console.log(`${kind}: ${sorted.length} measured, p50 ${median} ms, p100 ${last} ms`);
  }
}

test(
  "T20: ten seconds after a denial of a token, certificate, client, key, grant, agreement or policy, five gateway processes disclose nothing for it",
  async ({ expect }) => {
    expect(new Set(processes).size, "processes, one of which is all the other workers too").toBe(
      bases.length + 1,
    );
    const measured: Measured[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const all = await subjects(phylax); // new tokens: a token of an earlier round may have expired
      for (const { read, denial } of all) expect(await everywhere(read), denial.kind).toBe(200);
      const kept = reading(phylax, phylax.client("telehealth"), await phylax.token("telehealth"));
      const keeping = bases.map((base) => steadyLoad(() => kept(base), pauseMilliseconds));
      const stopped = await stillGateway([kept, ...all.map(({ read }) => read)]);
      const seen = await denyUnderLoad(all, () => stopped.standStill());
      expect(await stopped.goOn(), "asked of a process that stood still").toEqual([
        200,
        ...all.map(({ refusedAs }) => refusedAs),
      ]);
      for (const { kind, grantedForMilliseconds, answersAfterTheBound, statuses, refusedAs } of seen) {
        expect(grantedForMilliseconds, kind).toBeLessThanOrEqual(boundMilliseconds);
        expect(answersAfterTheBound, kind).toBeGreaterThan(0);
        expect(statuses, kind).toEqual(new Set([200, refusedAs]));
      }
      measured.push(...seen);
      await Promise.all(keeping.map((load) => load.end()));
      const others = new Set(keeping.flatMap(({ answers }) => answers.map(({ status }) => status)));
      expect([...others], "another token of the same client, all the while").toEqual([200]);

      for (const { denial } of all) expect(await lift(denial)).toBe(200);
      const back = await Promise.all(all.map(({ read }) => until(200, () => everywhere(read))));
      expect(Math.max(...back)).toBeLessThanOrEqual(boundMilliseconds);
    }
    if (lane === "long") say(measured);
  },
  40_000 * rounds,
);

test("T20: ten seconds later a denied client, certificate or key gets no token, and no token that a denied key signed is good", async ({
  expect,
}) => {
  const askers = ["telehealth", "payer", "public-health"];
  const kept = reading(phylax, phylax.client("telehealth"), await phylax.token("telehealth"));
  expect(await everywhere(kept)).toBe(200);
  const denials: readonly Denial[] = [
    { kind: "key", issuer: "telehealth", keyId: "telehealth-1" },
    { kind: "certificate", x5t: thumbprint(phylax.client("payer")) },
    { kind: "client", client: "public-health" },
    { kind: "key", issuer: phylax.dev.gateway, keyId: "token-1" },
  ];
  for (const denial of denials) expect(await revoke(denial)).toBe(200);
  const refused = [
    ...askers.map((client) => until(false, () => isGivenToken(client))),
    until(401, () => everywhere(kept)),
  ];
  expect(Math.max(...(await Promise.all(refused)))).toBeLessThanOrEqual(boundMilliseconds);

  for (const denial of denials) expect(await lift(denial)).toBe(200);
  const back = [
    ...askers.map((client) => until(true, () => isGivenToken(client))),
    until(200, () => everywhere(kept)),
  ];
  expect(Math.max(...(await Promise.all(back)))).toBeLessThanOrEqual(boundMilliseconds);
}, 30_000);

test("a quota of five is five, with 40 concurrent requests at four gateways", async ({ expect }) => {
  const read = reading(phylax, phylax.client("tiny"), await phylax.token("tiny"));
  const left = 60_000 - (Date.now() % 60_000); // windows begin with the minute
  if (left < 5_000) await wait(left + 100);
  const statuses = await Promise.all(Array.from({ length: 10 }, () => bases.map(read)).flat());
  expect(statuses.filter((status) => status === 200)).toHaveLength(5);
  expect(statuses.filter((status) => status === 429)).toHaveLength(35);
}, 30_000);
