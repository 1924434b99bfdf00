import { FRAME_BYTES_MAX } from "#ledger/frame";
import type { LogReader } from "#ledger/ports";
import { tilePath } from "#ledger/tile";

const PATIENCE_MS = 30_000;

/** One log of a ledger over HTTP. An object that is not there is undefined; anything else that goes wrong throws, naming the address. */
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

async function read(url: string): Promise<Uint8Array | undefined> {
  const response = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(PATIENCE_MS) }).catch((fault: unknown) => {
    throw new Error(`${url} cannot be reached`, { cause: fault });
  });
  if (response.status === 404) {
    await response.body?.cancel();
    return undefined;
  }
  if (!response.ok || response.body === null) throw new Error(`${url} answered ${response.status}`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body) {
    length += part.length; // nothing that a log serves is longer than the longest frame
    if (length > FRAME_BYTES_MAX) throw new Error(`${url} answered more than ${FRAME_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return new Uint8Array(Buffer.concat(parts));
}
