import { runInDurableObject } from "cloudflare:test";
/// <reference types="@cloudflare/vitest-plugin/types" />
import type { Recorded } from "#audit/ports";
import { env, exports } from "cloudflare:workers";
import type { JWK } from "jose";
import type { AuditEvent } from "#audit/event";
import { DefinitionIndex } from "#audit/definition-index";
import { type AuditRecord, decodeRecord } from "#audit/record";
import { instant } from "#kernel/clock";
import { readKeyEpoch } from "#ledger/leaf/clear-body";
import { splitEntries } from "#ledger/leaf/frame";
import { type Leaf, leafKinds, parseLeaf } from "#ledger/leaf/leaf";
import { logName, halfYearOf } from "#ledger/log-name";
import type { LogReader } from "#ledger/ports";
import { isCommittedKey, openLeaf } from "#ledger/leaf/seal";
import { parseVerifierKey, type Verifier, verifierKey } from "#ledger/tlog/signed-note";
import { TILE_WIDTH, tilePath } from "#ledger/tlog/tile";
import type { AppendAnswer } from "#platform/ledger/append-text";
import { withNames } from "#platform/ledger/client/definitions";
import { type LedgerEnv, readLedgerConfig } from "#platform/ledger/config";
import { unwrapForAuditor } from "#auditing/unwrap-key";
import type { AuditorSecrets } from "#ledger/leaf/auditor-secrets";
import type { AccountingIntake } from "#platform/ledger/object/accounting/accounting-intake";
import type { AccountingShelf } from "#platform/ledger/object/accounting/accounting-shelf";
import type { LedgerRoot } from "#platform/ledger/object/root/ledger-root";
import type { LedgerShard } from "#platform/ledger/object/append/ledger-shard";
import type { TrafficBook } from "#platform/ledger/object/traffic/traffic-book";
import type { Lane } from "../../support/lane.ts";

// The bindings of vitest.config.ts for the worker under test.
export const ledger = env as unknown as LedgerEnv & {
  readonly LEDGER_SHARD: DurableObjectNamespace<LedgerShard>;
  readonly LEDGER_ROOT: DurableObjectNamespace<LedgerRoot>;
  readonly ACCOUNTING_SHELF: DurableObjectNamespace<AccountingShelf>;
  readonly ACCOUNTING_INTAKE: DurableObjectNamespace<AccountingIntake>;
  readonly TRAFFIC_BOOK: DurableObjectNamespace<TrafficBook>;
  readonly LEDGER_BUCKET: R2Bucket;
  readonly AUDITOR_PRIVATE_KEYS: readonly JWK[];
  readonly LANE: Lane;
  readonly MODEL: { readonly runs: number; readonly seed: number | null };
};

export const config = readLedgerConfig(ledger);

// shard 0 is for the test that lets the sink choose, shards 3 and 4 take workers' configurations
const firstUnused = 5;
let used = firstUnused;
/** From now on the shards are unused from this one on. */
export const unusedFrom = (first = firstUnused): void => void (used = first);
/** A log that no further test of this file uses. */
export const ownLog = (): string => logName({ shard: used++, halfYear: halfYearOf(instant(Date.now())) });

export const shard = (log: string): DurableObjectStub<LedgerShard> => ledger.LEDGER_SHARD.getByName(log);

/** While it lasts, objects that start have these variables, as after a deployment of the ledger worker. */
export async function withVariables<T>(variables: Partial<LedgerEnv>, act: () => Promise<T>): Promise<T> {
  const before = { ...ledger };
  Object.assign(ledger, variables);
  try {
    return await act();
  } finally {
    for (const name of Object.keys(variables)) {
      if (name in before) Object.assign(ledger, { [name]: Reflect.get(before, name) });
      else Reflect.deleteProperty(ledger, name);
    }
  }
}

/** The position of an append that must be neither counted nor refused. */
export function positionOf(answer: AppendAnswer): Recorded {
  if (typeof answer === "string") throw new Error(`${answer}, not recorded`);
  return answer;
}

export const refusals = (count: number): AuditEvent[] => Array.from({ length: count }, () => refusal());

/** Appends refusals, and answers the place of the first. */
export const fill = async (log: string, count: number): Promise<Recorded> =>
  positionOf(await shard(log).append(refusals(count)));

export const get = (path: string, init?: RequestInit): Promise<Response> =>
  // the worker's own default export
  (exports as unknown as { readonly default: Fetcher }).default.fetch(`https://ledger.test${path}`, init);

/** The parts of an answer that a cache or a browser uses: status, type, caching. */
export async function seen(path: string, init?: RequestInit): Promise<(string | number | null)[]> {
  const { status, headers, body } = await get(path, init);
  await body?.cancel();
  return [status, headers.get("content-type"), headers.get("cache-control")];
}

/** The log as its public addresses show it. */
export function publicReader(log: string): LogReader {
  const object = async (path: string): Promise<Uint8Array | undefined> => {
    const response = await get(`/${log}/${path}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    return response.ok ? bytes : undefined;
  };
  return {
    checkpoint: () => object("checkpoint"),
    tile: (level, index, width) => object(`tile/${level}/${tilePath(index, width)}`),
    entries: (index, width) => object(`tile/entries/${tilePath(index, width)}`),
    frame: (number) => object(`frame/${number}`),
  };
}

export function verifierOf(log: string): Verifier {
  const verifier = parseVerifierKey(verifierKey(`ledger.test/${log}`, config.checkpointPublicKey));
  if (!verifier.ok) throw new Error(verifier.error);
  return verifier.value;
}

export async function leavesOf(log: string): Promise<Leaf[]> {
  const { size } = await shard(log).status();
  const leaves: Leaf[] = [];
  for (let index = 0; index * TILE_WIDTH < size; index++) {
    const bundle = await publicReader(log).entries(index, Math.min(TILE_WIDTH, size - index * TILE_WIDTH));
    for (const bytes of splitEntries(bundle ?? new Uint8Array()) ?? []) {
      const leaf = parseLeaf(bytes);
      if (!leaf.ok) throw new Error(leaf.error);
      leaves.push(leaf.value);
    }
  }
  return leaves;
}

/** The records of a key epoch; undefined where the key opens nothing. */
export interface OpenedEpoch {
  readonly number: number;
  readonly records: (AuditRecord | undefined)[];
}

/** Works as an auditor: unwraps each epoch's key, checks its commitment, opens the leaves. */
export async function openEpochs(log: string, auditor: JWK): Promise<readonly OpenedEpoch[]> {
  const origin = `ledger.test/${log}`;
  const epochs: OpenedEpoch[] = [];
  let secrets: AuditorSecrets | undefined;
  for (const leaf of await leavesOf(log)) {
    if (leaf.kind === leafKinds.keyEpoch) {
      const body = readKeyEpoch(leaf.body);
      secrets = body && (await unwrapForAuditor(body.wrapped, auditor, origin, leaf.keyEpoch));
      if (secrets && body && !isCommittedKey(secrets.dataKey, origin, leaf.keyEpoch, body.commitment))
        throw new Error("not the committed key");
      epochs.push({ number: leaf.keyEpoch, records: [] });
    }
    if (leaf.kind !== leafKinds.sealed) continue;
    const plaintext = secrets && (await openLeaf(secrets.dataKey, origin, leaf));
    const record = plaintext?.ok ? decodeRecord(plaintext.value) : undefined;
    epochs.at(-1)?.records.push(record?.ok ? record.value : undefined);
  }
  return epochs;
}

/** All records of a log, with an auditor's key; undefined where it opens nothing. */
export const openAll = async (log: string, auditor: JWK): Promise<(AuditRecord | undefined)[]> =>
  (await openEpochs(log, auditor)).flatMap(({ records }) => records);

/**
 * Checks that each record's definition stands before it in its own key epoch, and in each epoch once. Returns
 * the lists of withheld paths of the events, and the number of definitions by epoch.
 */
export async function definitionsOf(log: string) {
  const [auditor = {}] = ledger.AUDITOR_PRIVATE_KEYS;
  const lists: (readonly string[])[] = [];
  const written = new Map<number, number>();
  for (const { number, records } of await openEpochs(log, auditor)) {
    const [index, digests] = [new DefinitionIndex(), [] as string[]];
    for (const record of records) {
      if (record === undefined) throw new Error("a leaf did not open");
      const { definition } = record.event;
      if (definition !== undefined) {
        if (!index.add(record).ok) throw new Error("a definition is not its digest's");
        if (record.part === 1) digests.push(definition.contentDigest);
        continue;
      }
      const event = index.resolve(record.event);
      if (!event.ok) throw new Error(`${event.error} in key epoch ${number}`);
      if (event.value.withheld?.paths !== undefined) lists.push(event.value.withheld.paths);
    }
    if (new Set(digests).size !== digests.length) throw new Error("a definition stands twice in an epoch");
    if (digests.length > 0) written.set(number, digests.length);
  }
  return { lists, written: [...written.values()] };
}

/** Appends as the gateway's sink does: the content of definitions comes along when the log lacks one. */
export async function appendNamed(log: string, input: readonly AuditEvent[], proof?: string) {
  const { events, definitions } = withNames(input);
  const answer = await shard(log).append(events, proof);
  if (answer !== "definition missing") return answer;
  return shard(log).append(
    events,
    proof,
    [...definitions.values()].map(({ content }) => content),
  );
}

export const newId = (): string => crypto.randomUUID().replaceAll("-", "");

/** A made-up disclosure of `count` patients. */
export const disclosureOf = (count: number, id = newId()): AuditEvent => ({
  id,
  at: instant(Date.now()),
  kind: "disclosure",
  who: { client: "telehealth", certificate: "x5t", tokenId: "jti" },
  what: {
    interaction: "search-type",
    origin: "main",
    type: "Observation",
    parameters: [["code", "1-1"]],
    method: "GET",
  },
  why: { purposes: ["TREAT"], agreement: "baa-1", policy: "sha256:x" },
  outcome: { status: 200 },
  patients: Array.from({ length: count }, (_, i) => ({
    patient: `main/Patient/made-up-${i}-${id}`,
    counts: { Observation: i + 1, Patient: 1 },
  })),
  unnamed: [],
  counts: { Patient: count },
});

export const refusal = (id = newId()): AuditEvent => ({
  id,
  at: instant(Date.now()),
  kind: "refusal",
  outcome: { status: 403, reason: "rule_missing" },
  patients: [],
  unnamed: [],
  counts: {},
});

/**
 * The message of the error that a call ends in. (`expect(…).rejects` leaves the promise of an RPC call
 * unhandled.)
 */
export async function failure(call: () => Promise<unknown>): Promise<string> {
  try {
    await call();
  } catch (fault) {
    return fault instanceof Error ? fault.message : String(fault);
  }
  return "no failure";
}

/** The machine with the log's storage is gone: no row and no alarm is left. */
export async function lose(log: string): Promise<void> {
  await failure(() =>
    runInDurableObject(shard(log), async (_, state) => {
      await state.storage.deleteAlarm();
      await state.storage.deleteAll();
      await state.storage.sync();
      state.abort("lost");
    }),
  );
}
