// `npm run month -- --into DIR`: a state with a month of traffic in it, for plots and screenshots. Each number is of a
// real request: the whole sandbox runs on a clock that leaps from step to step and ends at the machine's own time.
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { randomFrom } from "../bench/scale/random.ts";
import { accessToken } from "../cli/connection/access-token.ts";
import { clientOf, type DevFile, readDevFile } from "../cli/connection/dev-file.ts";
import { closeConnections, send } from "../cli/connection/mutual-tls.ts";
import { type MonthRequest, momentOf, parties, type Party, type Pick } from "./month/rota.ts";
import { type ClockStep, shiftOwnClock, withShiftedClock } from "./month/shifted-clock.ts";
import { buildWorkerBundles } from "../sandbox/runtime/worker-bundles.ts";
import { startStack } from "../sandbox/stack.ts";

const usage = `usage: npm run month -- --into DIR [--days N] [--port N]
  --into DIR  a new folder for the state; npm start -- --state DIR serves it afterwards
  --days N    days of traffic, up to now (30)
  --port N    port of the gateway (8443)`;

function options() {
  try {
    const { values } = parseArgs({
      options: {
        into: { type: "string" },
        days: { type: "string", default: "30" },
        port: { type: "string", default: "8443" },
      },
    });
    if (values.into === undefined) throw new Error("--into is missing");
    const into = resolve(process.env["INIT_CWD"] ?? process.cwd(), values.into);
    if (existsSync(into)) throw new Error(`${values.into} exists: choose a new folder`);
    return { into, days: Number(values.days), port: Number(values.port) };
  } catch (problem) {
    console.error(`${problem instanceof Error ? problem.message : "unreadable options"}\n${usage}`);
    process.exit(2);
  }
}

const [minute, hour] = [60_000, 3_600_000];
/**
 * The leaps, as fine as the plots show them: how far, until how long before now, and the real time of a step. Within a
 * step the ledger has to copy its records and drain its lines: a leap makes all that waits late.
 */
const leaps = [
  { leap: 6 * hour, until: 7 * 24 * hour, realMilliseconds: 3_500 },
  { leap: 2 * hour, until: 24 * hour, realMilliseconds: 2_800 },
  { leap: 15 * minute, until: hour, realMilliseconds: 1_800 },
  { leap: minute, until: 0, realMilliseconds: 1_200 },
] as const;
// Alarms ring first after a leap, and the ledger settles before the next.
const [ringMilliseconds, settleMilliseconds] = [400, 1_300];
// The stack starts within this time.
const startMilliseconds = 45_000;

/** The steps of the clock from `days` ago until the end of the run. */
function stepsOf(begin: number, days: number): readonly [ClockStep, ...ClockStep[]] {
  const lengths: { readonly leap: number; readonly real: number }[] = [];
  let left = days * 24 * hour;
  for (const { leap, until, realMilliseconds } of leaps)
    for (; left > until; left -= leap) lengths.push({ leap, real: realMilliseconds });
  const whole = startMilliseconds + lengths.reduce((sum, { real }) => sum + real, 0);
  let [real, before] = [begin + startMilliseconds, lengths.reduce((sum, { leap }) => sum + leap, 0)];
  const end = begin + whole;
  const first = { real: begin, shown: end - before - startMilliseconds };
  const later = lengths.map(({ leap, real: length }) => {
    const step = { real, shown: end - before };
    real += length;
    before -= leap;
    return step;
  });
  return [first, ...later, { real: end, shown: end }];
}

const { into, days, port } = options();
const built = mkdtempSync(join(tmpdir(), "phylax-month-"));
const bundles = await buildWorkerBundles(built);
const steps = stepsOf(Date.now(), days);
const machine = shiftOwnClock(steps);
const stack = await startStack({
  port,
  state: into,
  bundles: undefined,
  workers: withShiftedClock(bundles, steps),
  settleSeconds: 1,
  say: () => {},
});
const dev = readDevFile(into);
const random = randomFrom(36);
const patients = await patientsOf(dev);
const answers = new Map<string, number>();
let unsent = 0;

for (const [i, step] of steps.entries()) {
  const next = steps[i + 1];
  if (i === 0 || next === undefined) continue; // the start of the stack, and the end
  await wait(Math.max(0, step.real + ringMilliseconds - machine.now()));
  const hours = (next.shown - step.shown) / hour;
  await sendAll(
    requestsOf(step.shown, hours),
    next.real - Math.min(settleMilliseconds, (next.real - step.real) / 3),
  );
  if (i % 25 === 0) console.log(`${new Date(step.shown).toISOString()}: ${i} of ${steps.length} steps`);
}
await wait(10_000); // the ledger settles, and the numbers reach the traffic book
await stack.close();
closeConnections();
rmSync(built, { recursive: true });
console.log(
  `Answers: ${[...answers].map(([status, n]) => `${status} ${n}`).join(", ")}; not sent in time: ${unsent}`,
);
console.log(`Serve it: npm start -- --state ${into}`);
process.exit(0);

async function patientsOf({ origin }: DevFile): Promise<readonly [string, ...string[]]> {
  const found = await (await fetch(`${origin}/Patient?_count=40`)).json();
  const { entry = [] } = found as {
    readonly entry?: readonly { readonly resource: { readonly id: string } }[];
  };
  const [first, ...others] = entry.map(({ resource }) => resource.id);
  if (first === undefined) throw new Error("the sandbox has no patient");
  return [first, ...others];
}

/** The requests of a step, in no order. */
function requestsOf(shown: number, hours: number): readonly (readonly [Party, MonthRequest])[] {
  const choice = <T>(things: readonly [T, ...T[]]): T =>
    things[Math.floor(random() * things.length)] ?? things[0];
  const pick = (): Pick => ({ of: choice, patient: choice(patients), percent: (n) => random() * 100 < n });
  return parties
    .flatMap((party) => {
      const parts = Array.from({ length: Math.ceil(hours) }, (_, i) =>
        party.hourly(momentOf(shown + ((i + 0.5) * hours * hour) / Math.ceil(hours))),
      );
      const mean = (parts.reduce((sum, n) => sum + n, 0) / parts.length) * hours * (0.7 + 0.6 * random());
      const count = Math.floor(mean) + (random() < mean % 1 ? 1 : 0);
      return Array.from({ length: count }, () => ({ party, order: random() }));
    })
    .sort((left, right) => left.order - right.order)
    .map(({ party }) => [party, party.request(pick())] as const);
}

/** Sends the requests, eight at a time; `until`: by the machine's clock. The rest of a slow step is not sent. */
async function sendAll(requests: readonly (readonly [Party, MonthRequest])[], until: number): Promise<void> {
  const tokens = new Map<string, Promise<string>>();
  const queue = [...requests];
  const sendNext = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (machine.now() > until) {
        unsent += 1;
        continue;
      }
      const status = await ask(next[0], next[1], tokens).catch(() => "failed");
      answers.set(`${status}`, (answers.get(`${status}`) ?? 0) + 1);
    }
  };
  await Promise.all(Array.from({ length: 8 }, sendNext));
}

async function ask(
  { client }: Party,
  { path, creates }: MonthRequest,
  tokens: Map<string, Promise<string>>,
): Promise<number> {
  const known = clientOf(dev, client ?? "telehealth");
  if (client !== undefined && !tokens.has(client)) tokens.set(client, accessToken(dev, known));
  const token = client === undefined ? undefined : await tokens.get(client);
  const { status } = await send(dev, known, `${dev.fhir}/${path}`, {
    method: creates === undefined ? "GET" : "POST",
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(creates !== undefined && { "content-type": "application/fhir+json" }),
    },
    ...(creates !== undefined && { body: JSON.stringify(creates) }),
  });
  return status;
}
