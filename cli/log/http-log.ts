import { setTimeout } from "node:timers/promises";
import { OBJECT_BYTES_MAX } from "#ledger/frame-copies";
import type { LogReader } from "#ledger/ports";
import { readAhead } from "#auditing/read-ahead";
import { countRead } from "../progress.ts";

const PATIENCE_MS = 30_000;
const WAIT_SECONDS_MAX = 120;
const WAITS_MAX = 20; // after that, another client in this network reads all the time
/** The waits before an object is asked for again, after a connection broke or the ledger answered 503. */
const AGAIN_MS = [250, 1_000, 4_000, 10_000];

/** A log that its ledger does not serve now. The ledger itself answers. */
export class LogNotServed extends Error {}

/** A connection that failed or broke. */
class ConnectionLost extends Error {}

/**
 * One log of a ledger over HTTP, read ahead. An absent object is undefined; every other failure throws and names
 * the address. A connection that breaks is made again. The checkpoint is asked for once: its reader finds out
 * soon that the ledger is down.
 */
export function httpLog(base: string, log: string): LogReader {
  const root = `${base.replace(/\/+$/, "")}/${log}`;
  return readAhead((path) =>
    path === "checkpoint" ? read(`${root}/${path}`) : readAgain(`${root}/${path}`),
  );
}

async function readAgain(url: string): Promise<Uint8Array | undefined> {
  for (const milliseconds of AGAIN_MS) {
    try {
      return await read(url);
    } catch (fault) {
      if (!(fault instanceof ConnectionLost || fault instanceof LogNotServed)) throw fault;
      await setTimeout(milliseconds);
    }
  }
  return read(url);
}

/**
 * The ledger answers 429 to a network that reads too much at once. This reader waits as long as the answer
 * says, then goes on.
 */
async function patiently(url: string): Promise<Response> {
  for (let waits = 0; ; waits++) {
    const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS) }).catch(
      (fault: unknown) => {
        throw new ConnectionLost(`${url} cannot be reached: check that the ledger runs and its address`, {
          cause: fault,
        });
      },
    );
    const seconds = Number(response.headers.get("retry-after") ?? "");
    if (
      response.status !== 429 ||
      !Number.isInteger(seconds) ||
      seconds > WAIT_SECONDS_MAX ||
      waits === WAITS_MAX
    )
      return response;
    await response.body?.cancel();
    await setTimeout(seconds * 1000);
  }
}

async function read(url: string): Promise<Uint8Array | undefined> {
  const response = await patiently(url);
  if (response.status === 404) {
    await response.body?.cancel();
    return undefined;
  }
  if (response.status === 503) throw new LogNotServed(`${url} answered 503`);
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
  const bytes = await bodyOf(response.body, url);
  countRead();
  return bytes;
}

async function bodyOf(body: ReadableStream<Uint8Array>, url: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const part of body) {
      length += part.length;
      if (length > OBJECT_BYTES_MAX) break;
      parts.push(part);
    }
  } catch (fault) {
    throw new ConnectionLost(`${url} broke off`, { cause: fault });
  }
  if (length > OBJECT_BYTES_MAX) throw new Error(`${url} answered more than ${OBJECT_BYTES_MAX} bytes`);
  return new Uint8Array(Buffer.concat(parts));
}
