import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { differenceOf, ratioOf, valueOf, type Measure } from "../measures.ts";
import type { Duration } from "../options.ts";
import { inTurns, pairsOf } from "../rounds.ts";
import { deployedBundle } from "../workerd/bundles.ts";
import type { CapnpStruct } from "../workerd/capnp.ts";
import { deployedWorker, neighboursOf, serviceOf, type Neighbour } from "../workerd/deployed-worker.ts";
import { runCommandStarts } from "./command.ts";
import { copied, putInto, rateLimiterIn, serveConfig, stateOf } from "../workerd/serve.ts";
import { standIn, standInExtensions } from "../workerd/stand-ins.ts";

const startsIn: Readonly<Record<Duration, number>> = { full: 15, quick: 7, short: 1 };

/**
 * The size of the gateway's bundle; the time, and the CPU time of the process, from the start of a fresh workerd to
 * the first 200 of the gateway's `/healthz`, beside an empty Worker in the same configuration; and the starts of the
 * command.
 */
export async function runStartGroup(folder: string, duration: Duration): Promise<readonly Measure[]> {
  const module = await deployedBundle("gateway", join(folder, "bundles"));
  const bytes = gzipSync(readFileSync(module)).length;
  const starts = startsIn[duration];
  console.error(`start: ${starts} starts of each …`);
  const sides = { gateway: (place: string) => gatewayServices(place, module), empty: emptyServices };
  let number = 0;
  const turns = await inTurns(starts, [sides], ["gateway", "empty"] as const, (services, side) => {
    const place = join(folder, `start-${number++}`);
    return firstAnswer(place, () => services[side](place));
  });
  const pairs = (quantity: (answer: FirstAnswer) => number) =>
    turns.flatMap((turnsOfSide) => pairsOf(turnsOfSide, ["gateway", "empty"], quantity));
  return [
    differenceOf(
      "start-up-cpu-ms",
      pairs(({ cpuMilliseconds }) => cpuMilliseconds),
    ),
    ratioOf(
      "start-up-vs-empty",
      pairs(({ milliseconds }) => milliseconds),
    ),
    valueOf("bundle-gz-kb", [bytes / 1_024]),
    ...(await runCommandStarts(join(folder, "command"), starts)),
  ];
}

/** From the start of a process to its first 200. */
interface FirstAnswer {
  readonly milliseconds: number;
  readonly cpuMilliseconds: number;
}

async function firstAnswer(folder: string, gateway: () => readonly CapnpStruct[]): Promise<FirstAnswer> {
  mkdirSync(folder);
  const put = putInto(folder);
  const config = {
    services: [
      ...gateway(),
      ...neighboursOf("gateway").map(emptyNeighbour),
      { name: "neighbours", disk: { path: stateOf(folder, "neighbours"), writable: true } },
      ...standIn("d1", stateOf(folder, "d1"), put),
      { name: "internet", network: { allow: ["private"] } },
    ],
    sockets: [{ name: "http", address: "127.0.0.1:0", http: {}, service: serviceOf("gateway") }],
    extensions: standInExtensions(put, await rateLimiterIn(folder)),
  };
  const begun = performance.now();
  const running = await serveConfig(folder, "start", config, ["http"]);
  const response = await fetch(`http://127.0.0.1:${running.ready["http"]}/healthz`);
  await response.text();
  const milliseconds = performance.now() - begun;
  const cpuMilliseconds = running.cpuMicros() / 1_000;
  if (response.status !== 200) throw new Error(`the first answer is ${response.status}: ${running.said()}`);
  await running.close();
  return { milliseconds, cpuMilliseconds };
}

function gatewayServices(folder: string, module: string): readonly CapnpStruct[] {
  const secret = () => randomBytes(32).toString("base64url");
  const key = (pair: { readonly privateKey: { export(options: { format: "jwk" }): object } }, kid: string) =>
    JSON.stringify({ ...pair.privateKey.export({ format: "jwk" }), kid });
  return deployedWorker("gateway", {
    module: copied(module, folder, "gateway"),
    vars: {
      TOKEN_SIGNING_KEY: key(generateKeyPairSync("ec", { namedCurve: "P-256" }), "token-1"),
      RESPONSE_SIGNING_KEY: key(generateKeyPairSync("ed25519"), "answers-1"),
      PAGING_KEY: secret(),
      DPOP_NONCE_KEY: secret(),
    },
    state: stateOf(folder, "gateway"),
  });
}

const emptyServices = (): readonly CapnpStruct[] => [
  {
    name: serviceOf("gateway"),
    worker: {
      modules: [{ name: "empty.js", esModule: 'export default { fetch: () => new Response("ok") };' }],
      compatibilityDate: "2026-10-01",
    },
  },
];

/** A Worker that has the names to which the gateway is bound, and no code: its start is not measured. */
function emptyNeighbour({ service, entrypoints, objects }: Neighbour): CapnpStruct {
  const classes = [
    ...entrypoints.map((name) => `export class ${name} extends WorkerEntrypoint {}`),
    ...objects.map((name) => `export class ${name} extends DurableObject {}`),
  ];
  const script =
    'import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";' +
    `${classes.join("")}export default { fetch: () => new Response() };`;
  return {
    name: service,
    worker: {
      modules: [{ name: "neighbour.js", esModule: script }],
      compatibilityDate: "2026-10-01",
      durableObjectNamespaces: objects.map((className) => ({ className, uniqueKey: className })),
      ...(objects.length > 0 && { durableObjectStorage: { localDisk: "neighbours" } }),
    },
  };
}
