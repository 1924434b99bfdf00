import type { AuditEvent } from "#audit/event";
import { eventsOf } from "#auditing/ledger-events";
import type { PlannedChange } from "#registry/plan";
import { replayRegistry, type RecordedChange } from "#registry/replay";
import { Misuse } from "../misuse.ts";
import { printable } from "../printable.ts";
import { writePrivateFile } from "../private-file.ts";
import { auditorOptions, auditorSource } from "../records/auditor-source.ts";
import { UnreadList } from "../records/unread.ts";
import { complain, giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

const kinds: ReadonlySet<unknown> = new Set<PlannedChange["kind"]>([
  "issuer",
  "origin",
  "policy",
  "client",
  "certificate",
  "agreement",
  "grant",
]);

/**
 * Rebuilds the registry from the ledger alone, as a registry file: every change of the registry is on record
 * with its entries before and after. Needs an auditor's key. Returns 1 when a part of the ledger could not be
 * read, when the outcome of a change is unknown, or when an entry's earlier history is not on record.
 */
export async function restoreRegistry(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, auditorOptions);
  const [file, place, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new Misuse("name the file to write");
  const unread = new UnreadList();
  const acts = new Map<string, AuditEvent[]>();
  for await (const found of eventsOf(await auditorSource(values, place))) {
    if (!("event" in found)) unread.add(found);
    else if (found.event.kind === "administration")
      acts.set(found.event.id, [...(acts.get(found.event.id) ?? []), found.event]);
  }
  const read = [...acts.values()].map(actOf).sort((left, right) => left.at - right.at);
  const changes = read.flatMap(({ request, entries }) =>
    entries === undefined ? [] : [{ request, entries }],
  );
  const open = read.filter(({ isOpen }) => isOpen).map(({ request }) => request);
  const { registry, gaps } = replayRegistry(changes);
  writePrivateFile(file, `${JSON.stringify(registry, undefined, 2)}\n`);
  const count = Object.values(registry).reduce(
    (sum, list) => sum + (Array.isArray(list) ? list.length : 0),
    0,
  );
  const good = unread.count === 0 && open.length === 0 && gaps.length === 0;
  giveResult({ good, changes: changes.length, entries: count, open, gaps });
  say(`${file}: ${count} entries from ${changes.length} changes`);
  for (const request of open)
    complain(`request ${request}: its outcome is not on record: compare its document with the file`);
  for (const { request, kind, name } of gaps)
    complain(printable(`request ${request}: ${kind} ${name} had a state before it that no record made`));
  for (const line of unread.lines) complain(printable(line));
  return good ? 0 : 1;
}

interface Act {
  readonly request: string;
  readonly at: number;
  /** Changed entries; undefined if the act changed no entry of the registry. */
  readonly entries: RecordedChange["entries"] | undefined;
  /** Its intent is on record, and its end is not. */
  readonly isOpen: boolean;
}

/** An operator's act, from its records in any order. */
function actOf(events: readonly AuditEvent[]): Act {
  const steps = [...events].sort((left, right) => (left.step ?? 0) - (right.step ?? 0));
  const [first] = steps;
  const text = steps.flatMap(({ document }) => (document?.role === "effect" ? [document.text] : [])).join("");
  return {
    request: first?.id ?? "",
    at: first?.at ?? 0,
    entries: entriesIn(text),
    isOpen:
      steps.every(({ outcome }) => outcome === undefined) &&
      steps.some(({ document }) => document?.role === "submitted"),
  };
}

/** The changed entries of an effect; undefined for the effect of another verb. */
function entriesIn(text: string): RecordedChange["entries"] | undefined {
  if (text === "") return undefined;
  const effect: unknown = JSON.parse(text); // our own text: the record's digest covers it
  const isEntry = (value: unknown): value is PlannedChange =>
    typeof value === "object" &&
    value !== null &&
    kinds.has(Reflect.get(value, "kind")) &&
    typeof Reflect.get(value, "name") === "string";
  return Array.isArray(effect) && effect.every(isEntry) ? effect : undefined;
}
