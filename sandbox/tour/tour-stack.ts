import { existsSync, readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { startStack } from "../stack.ts";
import { get } from "./tour-ask.ts";

/** The members of dev.json that the tour reads. */
export interface TourDev {
  readonly gateway: string;
  readonly fhir: string;
  readonly origin: string;
  readonly ledger: string;
  readonly ca: string;
  readonly clients: readonly TourClient[];
}

export interface TourClient {
  readonly id: string;
  readonly cert: string;
  readonly key: string;
}

export interface TourStack {
  readonly dev: TourDev;
  /** Path of dev.json. */
  readonly devFile: string;
  /** The patient of the tour: a synthetic patient, or the first patient of another FHIR server. */
  patient(): Promise<string>;
  close(): Promise<void>;
}

/** The stack that runs on `state`, or a new stack in `own` on a free port, which `close` ends. */
export async function findOrStart(state: string, own: string): Promise<TourStack> {
  const running = join(state, "dev.json");
  if (existsSync(running)) {
    const dev = read(running);
    if (await answers(dev))
      return { dev, devFile: running, patient: () => patientOf(dev), close: async () => {} };
  }
  console.log("No Phylax runs on that state: starting one for the tour …");
  const stack = await startStack({ port: await freePort(), state: own, bundles: undefined, say: () => {} });
  const devFile = join(own, "dev.json");
  const dev = read(devFile);
  return { dev, devFile, patient: () => patientOf(dev), close: () => stack.close() };
}

function read(file: string): TourDev {
  const dev: TourDev = JSON.parse(readFileSync(file, "utf8"));
  return dev;
}

/** A dev.json may have outlived its stack. */
async function answers(dev: TourDev): Promise<boolean> {
  try {
    return (await get(dev.ca, undefined, `${dev.gateway}/readyz`)).status === 200;
  } catch {
    return false;
  }
}

async function patientOf({ origin }: TourDev): Promise<string> {
  const known = "amara-okafor";
  if ((await fetch(`${origin}/Patient/${known}`)).status === 200) return known;
  const page: { readonly entry?: readonly { readonly resource: { readonly id: string } }[] } = JSON.parse(
    await (await fetch(`${origin}/Patient?_count=1`)).text(),
  );
  const id = page.entry?.[0]?.resource.id;
  if (id === undefined) throw new Error("the FHIR server has no patient: load data with a Patient first");
  return id;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo; // a listening TCP server has an AddressInfo
  await new Promise((closed) => server.close(closed));
  return port;
}
