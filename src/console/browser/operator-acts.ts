import type { EventOnRecord } from "#auditing/ledger-events";
import type { AuditEvent, EventDocument } from "#audit/event";
import { deniedThing, denialInWords } from "#console/denials";
import { texts } from "#console/texts";

const { touched } = texts.records;

/** An operator's act, of all its records. */
export interface OperatorAct {
  /** The last record: it has the outcome, if one is on record. */
  readonly last: EventOnRecord;
  /** The touched entries, the denied thing, and the first person of two, a sentence each. */
  readonly says: readonly string[];
  /** The documents on record as JSON: what was sent, and the entries before and after. */
  readonly documents: readonly unknown[];
}

/** The acts in records, the newest first. An act has a record before it, and records after it. */
export function actsIn(found: readonly EventOnRecord[]): readonly OperatorAct[] {
  const byRequest = Map.groupBy(found, ({ event: { id } }) => id);
  return [...byRequest.values()]
    .flatMap((records): OperatorAct[] => {
      const inOrder = records.toSorted((left, right) => stepOf(left) - stepOf(right));
      const last = inOrder.at(-1);
      return last === undefined ? [] : [actOf(last, inOrder)];
    })
    .toReversed() // two acts of one step have one time: the later one in its log comes first
    .toSorted((left, right) => right.last.event.at - left.last.event.at);
}

const stepOf = ({ event: { step = 0 } }: EventOnRecord): number => step;

function actOf(last: EventOnRecord, records: readonly EventOnRecord[]): OperatorAct {
  const [submitted, effect] = [documentIn(records, "submitted"), documentIn(records, "effect")];
  const { approval } = last.event;
  const by = approval?.proposedBy === undefined ? [] : [touched.proposedBy(approval.proposedBy)];
  const says = [...sentencesOf(last.event, submitted, effect), ...by];
  return { last, says, documents: [submitted, effect].filter((each) => each !== undefined) };
}

/** A document of an act, joined of its parts; undefined: there is none, or a part of it was not read. */
function documentIn(records: readonly EventOnRecord[], role: EventDocument["role"]): unknown {
  const parts = records.flatMap(({ event: { document } }) =>
    document !== undefined && document.role === role ? [document] : [],
  );
  const text = parts.map((part) => part.text ?? "").join("");
  if (parts.length === 0 || parts.length !== (parts[0]?.parts ?? 1)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a document that an operator sent may be no JSON: its act was refused
  }
}

function sentencesOf(event: AuditEvent, submitted: unknown, effect: unknown): readonly string[] {
  const interaction = event.what?.interaction;
  if (interaction === "revoke" || interaction === "lift-revocation") {
    const thing = isObject(submitted) ? deniedThing(submitted) : undefined;
    return thing === undefined ? [] : [denialInWords(thing, undefined)];
  }
  if (Array.isArray(effect)) return effect.flatMap(sentenceOfEntry);
  const { why } = isObject(submitted) ? submitted : {};
  return typeof why === "string" ? [why] : [];
}

/** An entry that a change touched: `{ kind, name, before, after }`. */
function sentenceOfEntry(entry: unknown): readonly string[] {
  if (!isObject(entry)) return [];
  const { kind, name, before, after } = entry;
  if (typeof kind !== "string" || typeof name !== "string") return [];
  if (!isObject(before)) return [touched.added(kind, name)];
  if (!isObject(after)) return [touched.removed(kind, name)];
  const members = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (member) => JSON.stringify(before[member]) !== JSON.stringify(after[member]),
  );
  return [touched.changed(kind, name, members)];
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null;
