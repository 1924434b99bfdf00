import { setTimeout } from "node:timers/promises";
import { FRAME_BYTES_MAX } from "#ledger/leaf/frame";
import type { LogReader } from "#ledger/ports";
import { countRead } from "../progress.ts";
import { tilePath } from "#ledger/tlog/tile";

const PATIENCE_MS = 30_000;
const WAIT_SECONDS_MAX = 120;
const WAITS_MAX = 20; // after that, another client in this network reads all the time

/** A log that its ledger does not serve now. The ledger itself answers. */
export class LogNotServed extends Error {}

/**
 * One log of a ledger over HTTP. An absent object is undefined; every other failure throws and names the
 * address.
 */
export function httpLog(base: string, log: string): LogReader {
  const root = `${base.replace(/\/+$/, "")}/${log}`;
  const object = (path: string): Promise<Uint8Array | undefined> => read(`${root}/${path}`);
  return {
    checkpoint: () => object("checkpoint"),
    tile: (level, index, width) => object(`tile/${level}/${tilePath(index, width)}`),
    entries: (index, width) => object(`tile/entries/${tilePath(index, width)}`),
    frame: (number) => object(`frame/${number}`),
  };
}

/**
 * The ledger answers 429 to a network that reads too much at once. This reader waits as long as the answer
 * says, then goes on.
 */
async function patiently(url: string): Promise<Response> {
  for (let waits = 0; ; waits++) {
    const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS) }).catch(
      (fault: unknown) => {
        throw new Error(`${url} cannot be reached: check that the ledger runs and its address`, {
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
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length; // no object that a log serves is longer than the longest frame
    if (length > FRAME_BYTES_MAX) throw new Error(`${url} answered more than ${FRAME_BYTES_MAX} bytes`);
    parts.push(part);
  }
  countRead();
  return new Uint8Array(Buffer.concat(parts));
}
