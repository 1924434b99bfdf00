import { expect } from "vitest";
import type { AuditEvent } from "#audit/event";
import type { Checkpoint } from "#ledger/tlog/checkpoint";
import { openCheckpoint } from "#ledger/tlog/checkpoint";
import type { Receipt } from "#ledger/receipt";
import { parseReceipt } from "#ledger/read-receipt";
import { RootLeaves } from "#ledger/root-log";
import { parseVerifierKey, type Verifier } from "#ledger/tlog/signed-note";
import { verifyLog } from "#ledger/verify";
import { accessToken } from "../../cli/connection/access-token.ts";
import { clientOf, type DevFile } from "../../cli/connection/dev-file.ts";
import { httpLog } from "../../cli/log/http-log.ts";
import { send } from "../../cli/connection/mutual-tls.ts";
import { accountingLine, type AccountedEvent, disclosureLine } from "./accounting-lines.ts";
import { openLedger } from "./auditor.ts";
import { createdSystem } from "./load-requests.ts";
import type { Exchange } from "./mixed-load.ts";

// a proof is good for a minute: a proof of this age can be refused for its use alone
const proofSeconds = 40;

/**
 * The part of an answer that makes a promise. The text is dropped: a stream is more than 1 MiB, and there
 * are thousands.
 */
interface Promised extends Omit<Exchange, "text"> {
  readonly patients: readonly string[]; // the patients that it disclosed, also where it broke off
  readonly created: number; // the number of resources that it reported as created
}

/**
 * The answers that clients got over all the lives of one stack, and whether the ledger, the FHIR server and
 * the accountings agree with them.
 */
export class KeptPromises {
  readonly #promised: Promised[] = [];
  readonly #receipts: Receipt[] = [];
  readonly #checkpoints = new Map<string, Checkpoint[]>(); // every verified checkpoint, by log
  readonly #replays: string[] = []; // request ids

  get summary(): { readonly receipts: number; readonly created: number; readonly replays: number } {
    const created = this.#promised.filter(
      ({ creates, status }) => creates.length > 0 && status !== undefined && status < 300,
    ).length;
    return { receipts: this.#receipts.length, created, replays: this.#replays.length };
  }

  /** Adds the answers up to a kill. A client that got an answer has a receipt. */
  take(exchanges: readonly Exchange[]): void {
    for (const exchange of exchanges) {
      this.#promised.push(promisedBy(exchange));
      const receipt = exchange.headers["phylax-receipt"];
      if (receipt === undefined) {
        expect(
          exchange.status === undefined || exchange.status >= 400,
          `${exchange.method} ${exchange.path}: ${exchange.status} without a receipt`,
        ).toBe(true);
        continue;
      }
      const read = parseReceipt(String(receipt));
      if (!read.ok) throw new Error(`not a receipt: ${String(receipt)}`);
      this.#receipts.push(read.value);
    }
    expect(
      new Set(this.#receipts.map(({ log, index }) => `${log} ${index}`)).size,
      "each answer has a record of its own",
    ).toBe(this.#receipts.length);
  }

  /**
   * Every log verifies, contains every receipt, and extends every checkpoint of it that was seen before or
   * stands in the root log.
   */
  async verify(dev: DevFile): Promise<void> {
    const leaves = new RootLeaves(verifierOf(dev.root));
    const root = httpLog(dev.ledger, "root");
    // A ledger that was killed before its first record has no root checkpoint yet.
    if (this.#receipts.length > 0 || (await root.checkpoint()) !== undefined)
      expect(await verifyLog(root, verifierOf(dev.root), {}, leaves), "root").toMatchObject({ ok: true });
    for (const [log, key] of Object.entries(dev.logs)) {
      const [verifier, reader] = [verifierOf(key), httpLog(dev.ledger, log)];
      const [own, seen] = [
        this.#receipts.filter((receipt) => receipt.log === log),
        this.#checkpoints.get(log) ?? [],
      ];
      const since = [...seen, ...(leaves.seen.get(log) ?? [])].filter(({ size }) => size > 0);
      const note = (await reader.checkpoint()) ?? new Uint8Array();
      expect(await verifyLog(reader, verifier, { receipts: own, since }), log).toMatchObject({ ok: true });
      const checkpoint = openCheckpoint(note, verifier);
      if (checkpoint.ok) this.#checkpoints.set(log, [...seen, checkpoint.value]);
    }
  }

  /** A proof that was used up before the kill is used up after it. */
  async replay(dev: DevFile): Promise<void> {
    const used = this.#promised.filter(
      ({ proof, status, at }) =>
        proof !== undefined && status === 200 && Date.now() - at < proofSeconds * 1_000,
    );
    for (const { path, method, authorization, proof = "" } of used.slice(-3)) {
      const reply = await send(dev, undefined, `${dev.fhir}/${path}`, {
        method,
        headers: { authorization, dpop: proof },
      });
      expect(reply.status, `a used proof for ${path}`).toBe(401);
      this.#replays.push(String(reply.headers["x-request-id"]));
    }
  }

  /**
   * Opens every leaf, as an auditor: each answer is on record with every patient that it disclosed, each
   * write with its result, and each accounting is whole.
   */
  async count(dev: DevFile): Promise<{ readonly records: number; readonly lines: number }> {
    const events = (await openLedger(dev)).map(({ event }) => event);
    const byRequest = Map.groupBy(events, ({ id }) => id);
    this.#answersAreOnRecord(byRequest);
    const refused = this.#replays.map((id) =>
      byRequest
        .get(id)
        ?.map(({ outcome }) => outcome?.reason)
        .join(),
    );
    // The nonce of the proof is checked first, and may have expired while the stack started.
    for (const reason of refused) expect(["proof_replayed", "proof_nonce_expired"]).toContain(reason);
    if (refused.length > 0) expect(refused).toContain("proof_replayed");
    await this.#writesAreAsRecorded(
      dev,
      Map.groupBy(events, ({ traceId }) => traceId),
    );
    return { records: events.length, lines: await accountingsAreWhole(dev, events) };
  }

  #answersAreOnRecord(byRequest: ReadonlyMap<string, readonly AuditEvent[]>): void {
    for (const { headers, patients, method, path } of this.#promised) {
      if (headers["phylax-receipt"] === undefined) continue;
      const own = byRequest.get(String(headers["x-request-id"])) ?? [];
      expect(own.length, `${method} ${path} is on record`).toBeGreaterThan(0);
      const named = new Set(
        own.flatMap(({ kind, patients }) =>
          kind === "disclosure" ? patients.map(({ patient }) => patient) : [],
        ),
      );
      expect(
        patients.filter((id) => !named.has(`main/Patient/${id}`)),
        `${method} ${path} disclosed them`,
      ).toEqual([]);
    }
  }

  /**
   * An acknowledged write is at the origin once, any further write at most once, and no write is there
   * without an intent.
   */
  async #writesAreAsRecorded(
    dev: DevFile,
    byTrace: ReadonlyMap<string | undefined, readonly AuditEvent[]>,
  ): Promise<void> {
    const held = await namesAt(dev.origin);
    expect(new Set(held).size, "nothing was written twice").toBe(held.length);
    const there = new Set(held);
    for (const { creates, traceId, method, path, created } of this.#promised) {
      const own = byTrace.get(traceId) ?? [];
      const done = own.filter(({ kind, outcome }) => kind === "write" && outcome?.status === 201).length;
      const found = creates.filter((name) => there.has(name)).length;
      expect(found, `${method} ${path}: what was acknowledged is there`).toBeGreaterThanOrEqual(created);
      expect(done, `${method} ${path}: what was acknowledged is on record`).toBeGreaterThanOrEqual(created);
      expect(found, `${method} ${path}: what is on record as done is there`).toBeGreaterThanOrEqual(done);
      const intended = own.filter(({ kind }) => kind === "intent").length;
      expect(intended, `${method} ${path}: nothing is there without an intent`).toBeGreaterThanOrEqual(
        Math.min(found, 1),
      );
    }
  }
}

function promisedBy({ text, ...exchange }: Exchange): Promised {
  const { status = 0, whole, creates } = exchange;
  const isDone = whole && status < 300 && creates.length > 0;
  return {
    ...exchange,
    patients: status < 300 ? [...new Set(text.match(/\b(?:load|large)-\d+/gu))] : [],
    created: !isDone ? 0 : status === 201 ? 1 : [...text.matchAll(/"status":"201/gu)].length,
  };
}

function verifierOf(key: string): Verifier {
  const verifier = parseVerifierKey(key);
  if (!verifier.ok) throw new Error(verifier.error);
  return verifier.value;
}

interface Page {
  readonly entry?: readonly {
    readonly resource: { readonly identifier: readonly { readonly value: string }[] };
  }[];
  readonly link?: readonly { readonly relation: string; readonly url: string }[];
}

/** The names of all resources that were created through the gateway, as the FHIR server has them. */
async function namesAt(origin: string): Promise<string[]> {
  const names: string[] = [];
  let next: string | undefined =
    `${origin}/Observation?identifier=${encodeURIComponent(`${createdSystem}|`)}&_count=1000`;
  while (next !== undefined) {
    const { entry = [], link }: Page = await (await fetch(next)).json();
    names.push(...entry.flatMap(({ resource }) => resource.identifier.map(({ value }) => value)));
    next = link?.find(({ relation }) => relation === "next")?.url;
  }
  return names;
}

interface AccountingEntry {
  readonly search: { readonly mode: string };
  readonly resource: AccountedEvent;
}

interface AccountingBundle {
  readonly link: readonly { readonly relation: string; readonly url: string }[];
  readonly entry: readonly AccountingEntry[];
}

/**
 * Each patient's accounting has the lines of the opened leaves, line by line. Returns the number of lines.
 */
async function accountingsAreWhole(dev: DevFile, events: readonly AuditEvent[]): Promise<number> {
  const counted = new Map<string, string[]>();
  for (const event of events) {
    if (event.kind !== "disclosure") continue;
    for (const one of event.patients)
      counted.set(one.patient, [...(counted.get(one.patient) ?? []), disclosureLine(event, one)]);
  }
  const officer = clientOf(dev, "privacy-officer");
  const headers = { authorization: `Bearer ${await accessToken(dev, officer)}` };
  // an accounting of one record of a person discloses the person's further records
  const snapshot = new Date().toISOString();
  let lines = 0;
  for (const [patient, expected] of counted) {
    const id = patient.slice(patient.lastIndexOf("/") + 1);
    const entry: AccountingEntry[] = [];
    for (
      let next: string | undefined = `${dev.fhir}/Patient/${id}/$disclosures?all=true`;
      next !== undefined;
    ) {
      const { status, text } = await send(dev, officer, next, { headers });
      expect(status, text.slice(0, 500)).toBe(200);
      const page = JSON.parse(text) as AccountingBundle;
      entry.push(...page.entry);
      next = page.link.find(({ relation }) => relation === "next")?.url;
    }
    const own = entry.flatMap(({ search, resource }) => {
      const isOwn = search.mode === "match" && resource.entity[0]?.what?.reference === `Patient/${id}`;
      return isOwn && resource.recorded < snapshot ? [accountingLine(resource)] : [];
    });
    expect(own.toSorted(), patient).toEqual(expected.toSorted());
    lines += own.length;
  }
  return lines;
}
