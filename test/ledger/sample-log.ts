import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { concat } from "#ledger/bytes/bytes";
import { checkpointText } from "#ledger/tlog/checkpoint";
import { encodeShardOpen, encodeShardSeal } from "#ledger/leaf/clear-body";
import { checkpointOf, commit, emptyHead, type Head } from "#ledger/commit";
import { entry, frameHash } from "#ledger/leaf/frame";
import { encodeLeaf, leafKinds } from "#ledger/leaf/leaf";
import type { LogReader } from "#ledger/ports";
import { keyId, noteOf, type Verifier } from "#ledger/tlog/signed-note";
import { TILE_WIDTH, tilePath } from "#ledger/tlog/tile";
import { type LedgerConfig, readLedgerConfig } from "#platform/ledger/config";
import { Epoch } from "#platform/ledger/object/log/key-epoch";

const auditor = (kid: string): Record<string, unknown> => {
  const { kty, crv, x, y } = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({
    format: "jwk",
  });
  return { kid, kty, crv, x, y };
};
const checkpointJwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
export const config: LedgerConfig = readLedgerConfig({
  LEDGER_NAME: "ledger.test",
  LEDGER_SHARDS: "4",
  LEDGER_KEEP_MIB: "256",
  LEDGER_SETTLE_SECONDS: "45",
  AUDITOR_KEYS: { keys: [auditor("a"), auditor("b")] },
  CHECKPOINT_KEY: JSON.stringify(checkpointJwk),
  ACCOUNTING_KEY: randomBytes(32).toString("base64url"),
  SUBJECT_KEY: randomBytes(32).toString("base64url"),
});

/** A log made by the production code, with all its public objects in a map from path to bytes. */
export interface SampleLog {
  readonly objects: Map<string, Uint8Array>;
  readonly verifier: Verifier;
  readonly leaves: readonly Uint8Array[];
  readonly head: Head;
}

export const origin = "ledger.test/s0-2026h2";
const start = Date.UTC(2026, 9, 1);
const random32 = (): Uint8Array => new Uint8Array(randomBytes(32));

/** `sizes`: sealed records of each frame. A new key epoch begins with every third frame. */
export async function sampleLog(
  sizes: readonly number[],
  { seal = false, of = origin } = {},
): Promise<SampleLog> {
  const frames: Uint8Array[] = [];
  const leaves: Uint8Array[] = [];
  const tiles = new Map<string, Uint8Array>();
  let head = emptyHead(of);
  const put = (added: readonly Uint8Array[]): void => {
    const done = commit(head, added, instant(start + frames.length * 4000));
    for (const tile of done.tiles)
      tiles.set(`tile/${tile.level}/${tilePath(tile.index, TILE_WIDTH)}`, tile.hashes);
    leaves.push(...added);
    frames.push(done.frame);
    head = done.head;
  };
  let epoch: Epoch | undefined;
  for (const [i, size] of sizes.entries()) {
    const first = i === 0 ? [openLeaf(of)] : [];
    if (epoch === undefined || i % 3 === 0) {
      epoch = await Epoch.begin(config, of, (epoch?.number ?? 0) + 1, instant(start));
      first.push(epoch.leaf);
    }
    const use = epoch;
    const records = Array.from({ length: size }, (_, n) => use.seal(utf8(`record ${i}.${n}`), random32()));
    put([...first, ...(await Promise.all(records))]);
  }
  if (seal) put(sealLeaves(head.size, epoch?.number ?? 0));
  return { objects: objectsOf(head, frames, leaves, tiles), verifier: verifierOf(head.origin), leaves, head };
}

/**
 * A log of these leaves, frame by frame. Every hash, link and signature is right, even if the leaves are
 * not.
 */
export function logOfFrames(all: readonly (readonly Uint8Array[])[], at = start, of = origin): SampleLog {
  const tiles = new Map<string, Uint8Array>();
  let head = emptyHead(of);
  const frames = all.map((leaves) => {
    const done = commit(head, leaves, instant(at));
    for (const tile of done.tiles)
      tiles.set(`tile/${tile.level}/${tilePath(tile.index, TILE_WIDTH)}`, tile.hashes);
    ({ head } = done);
    return done.frame;
  });
  return {
    objects: objectsOf(head, frames, all.flat(), tiles),
    verifier: verifierOf(of),
    leaves: all.flat(),
    head,
  };
}

/** A log of a single frame, which `frameOf` changes before its hash is taken. */
export function logOf(leaves: readonly Uint8Array[], frameOf = (frame: Uint8Array) => frame): SampleLog {
  const log = logOfFrames([leaves]);
  const frame = frameOf(log.objects.get("frame/0") ?? new Uint8Array());
  const head = { ...log.head, frame: { number: 0, hash: frameHash(frame), seconds: start / 1000 } };
  const checkpoint = signed(checkpointText(checkpointOf(head)));
  return { ...log, objects: new Map([...log.objects, ["frame/0", frame], ["checkpoint", checkpoint]]), head };
}

/** A log with one object replaced. */
export const withObject = (log: SampleLog, path: string, bytes: Uint8Array | undefined): SampleLog => {
  const objects = new Map(log.objects);
  if (bytes === undefined) objects.delete(path);
  else objects.set(path, bytes);
  return { ...log, objects };
};

export function readerOf({ objects }: SampleLog): LogReader {
  const object = (path: string): Promise<Uint8Array | undefined> => Promise.resolve(objects.get(path));
  return {
    checkpoint: () => object("checkpoint"),
    tile: (level, index, width) => object(`tile/${level}/${tilePath(index, width)}`),
    entries: (index, width) => object(`tile/entries/${tilePath(index, width)}`),
    frame: (number) => object(`frame/${number}`),
  };
}

/** Signs any text with the log's key, as an operator who has the key could. */
export function signed(text: string, name = origin): Uint8Array {
  return utf8(
    noteOf(text, verifierOf(name), new Uint8Array(sign(null, utf8(text), config.checkpointKey.reveal()))),
  );
}

export const verifierOf = (name: string): Verifier => ({
  name,
  id: keyId(name, config.checkpointPublicKey),
  publicKey: config.checkpointPublicKey,
});

function objectsOf(
  head: Head,
  frames: readonly Uint8Array[],
  leaves: readonly Uint8Array[],
  tiles: ReadonlyMap<string, Uint8Array>,
): Map<string, Uint8Array> {
  const objects = new Map(tiles);
  objects.set("checkpoint", signed(checkpointText(checkpointOf(head)), head.origin));
  for (const [number, frame] of frames.entries()) objects.set(`frame/${number}`, frame);
  for (let index = 0; index * TILE_WIDTH < leaves.length; index++) {
    const bundle = leaves.slice(index * TILE_WIDTH, (index + 1) * TILE_WIDTH);
    objects.set(`tile/entries/${tilePath(index, bundle.length)}`, concat(bundle.flatMap(entry)));
  }
  for (const [level, hashes] of head.edge.entries()) {
    if (hashes.length === 0) continue;
    objects.set(
      `tile/${level}/${tilePath(Math.floor(head.size / TILE_WIDTH ** (level + 1)), hashes.length)}`,
      concat(hashes),
    );
  }
  return objects;
}

export function openLeaf(of: string): Uint8Array {
  const body = encodeShardOpen({ origin: of, halfYear: "2026h2", auditors: ["a", "b"] });
  return encodeLeaf({ kind: leafKinds.shardOpen, keyEpoch: 0, counter: 0, linesRoot: random32(), body });
}

export function sealLeaves(size: number, keyEpoch: number): Uint8Array[] {
  const body = encodeShardSeal({ size });
  return Array.from({ length: TILE_WIDTH - (size % TILE_WIDTH) }, () =>
    encodeLeaf({ kind: leafKinds.shardSeal, keyEpoch, counter: 0, linesRoot: random32(), body }),
  );
}
