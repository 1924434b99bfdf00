import { FRAME_BYTES_MAX, parseFrame } from "#ledger/leaf/frame";
import type { LogReader } from "#ledger/ports";
import { readRootLeaf, ROOT_LOG, siblingOf } from "#ledger/root-log";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { cosignedAt } from "#ledger/tlog/cosignature";
import type { Verifier } from "#ledger/tlog/signed-note";
import { tilePath } from "#ledger/tlog/tile";
import { settled } from "./web-crypto.ts";

const patienceMilliseconds = 30_000;
const waitsMax = 20;
/** Frames and entries that are asked for ahead of the check, which reads them in their order. */
const ahead = 24;

/** Public facts that the page gives to the script. */
export interface LedgerPlace {
  readonly url: string;
  readonly root: Verifier;
  readonly witnesses: readonly Verifier[];
}

/**
 * A log of a ledger for the verifying code, which checks signatures at once: WebCrypto gives its verdicts on all
 * signatures of an object before the code reads the object. Frames are fetched ahead. The checkpoint is fetched
 * once: the code may ask again after a verdict.
 */
export function browserLog(
  { url, root, witnesses }: LedgerPlace,
  log: string,
  onRead: () => void,
): LogReader {
  const object = async (path: string): Promise<Uint8Array | undefined> => {
    const bytes = await fetchObject(`${url}/${log}/${path}`);
    onRead();
    return bytes;
  };
  const isRoot = log === ROOT_LOG;
  const verifier = isRoot ? root : siblingOf(root, log);
  const frames = new Map<number, Promise<Uint8Array | undefined>>();
  let last = -1;
  const begin = (number: number): Promise<Uint8Array | undefined> => {
    const begun = frames.get(number) ?? object(`frame/${number}`);
    // A frame ahead that fails fails when the check reads it.
    begun.catch(() => undefined);
    frames.set(number, begun);
    return begun;
  };
  let checkpoint: Promise<Uint8Array | undefined> | undefined;
  const readCheckpoint = async () => {
    const note = await object("checkpoint");
    if (note === undefined) return undefined;
    const opened = await settled(() => openCheckpoint(note, verifier));
    if (opened.ok) last = opened.value.frame?.number ?? -1;
    if (isRoot) for (const witness of witnesses) await settled(() => cosignedAt(note, witness));
    return note;
  };
  return {
    checkpoint: () => (checkpoint ??= readCheckpoint()),
    tile: (level, index, width) => object(`tile/${level}/${tilePath(index, width)}`),
    entries: (index, width) => object(`tile/entries/${tilePath(index, width)}`),
    async frame(number) {
      for (let next = number; next <= Math.min(number + ahead, last); next++) void begin(next);
      const bytes = await begin(number);
      frames.delete(number);
      const frame = isRoot && bytes !== undefined ? parseFrame(bytes) : undefined;
      if (frame?.ok === true)
        for (const [i, leaf] of frame.value.leaves.entries())
          await settled(() => readRootLeaf(leaf, root, frame.value.first + i));
      return bytes;
    },
  };
}

/** An absent object is undefined; every other failure throws and names the object. */
async function fetchObject(address: string): Promise<Uint8Array | undefined> {
  for (let waits = 0; ; waits++) {
    const answer = await fetch(address, { signal: AbortSignal.timeout(patienceMilliseconds) });
    if (answer.status === 404) return undefined;
    const seconds = Number(answer.headers.get("retry-after") ?? "");
    if (answer.status === 429 && waits < waitsMax && Number.isInteger(seconds) && seconds <= 120) {
      await new Promise((done) => setTimeout(done, seconds * 1000));
      continue;
    }
    if (!answer.ok) throw new Error(`${new URL(address).pathname} answered ${answer.status}`);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (bytes.length > FRAME_BYTES_MAX) throw new Error(`${new URL(address).pathname} is too long`);
    return bytes;
  }
}

export const wait = (milliseconds: number): Promise<void> =>
  new Promise((done) => setTimeout(done, milliseconds));
