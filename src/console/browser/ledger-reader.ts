import { OBJECT_BYTES_MAX } from "#ledger/frame-copies";
import { parseFrame } from "#ledger/leaf/frame";
import type { LogReader } from "#ledger/ports";
import { readAhead } from "#auditing/read-ahead";
import { readRootLeaf, ROOT_LOG, siblingOf } from "#ledger/root-log";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import { cosignedAt } from "#ledger/tlog/cosignature";
import type { Verifier } from "#ledger/tlog/signed-note";
import { settled } from "./web-crypto.ts";

const patienceMilliseconds = 30_000;
const waitsMax = 20;

/** Public facts that the page gives to the script. */
export interface LedgerPlace {
  readonly url: string;
  readonly root: Verifier;
  readonly witnesses: readonly Verifier[];
}

/**
 * A log of a ledger for the verifying code, which checks signatures at once: WebCrypto gives its verdicts on all
 * signatures of an object before the code reads the object. The checkpoint is fetched once: the code may ask again after a verdict.
 */
export function browserLog(
  { url, root, witnesses }: LedgerPlace,
  log: string,
  onRead: () => void,
): LogReader {
  const served = readAhead(async (path) => {
    const bytes = await fetchObject(`${url}/${log}/${path}`);
    onRead();
    return bytes;
  });
  const isRoot = log === ROOT_LOG;
  const verifier = isRoot ? root : siblingOf(root, log);
  let checkpoint: Promise<Uint8Array | undefined> | undefined;
  const readCheckpoint = async () => {
    const note = await served.checkpoint();
    if (note === undefined) return undefined;
    await settled(() => openCheckpoint(note, verifier));
    if (isRoot) for (const witness of witnesses) await settled(() => cosignedAt(note, witness));
    return note;
  };
  return {
    checkpoint: () => (checkpoint ??= readCheckpoint()),
    tile: (level, index, width) => served.tile(level, index, width),
    entries: (index, width) => served.entries(index, width),
    async frame(number) {
      const bytes = await served.frame(number);
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
    if (bytes.length > OBJECT_BYTES_MAX) throw new Error(`${new URL(address).pathname} is too long`);
    return bytes;
  }
}

export const wait = (milliseconds: number): Promise<void> =>
  new Promise((done) => setTimeout(done, milliseconds));
