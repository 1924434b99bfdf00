import { type Definition, definitionBytesMax, definitionRecords, readContent } from "#audit/definition";
import { encodeRecord } from "#audit/record";
import type { Instant } from "#kernel/clock";
import { Newest } from "#kernel/memo";
import { leafLength } from "#ledger/leaf/padding";
import { recordSeed } from "#platform/ledger/object/log/key-epoch";
import type { DraftRecord } from "./draft.ts";

/** A definition, and the room that its records take in a frame. */
export interface SizedDefinition extends Definition {
  readonly leaves: number;
  readonly leafBytes: number;
}

// Bounds against a faulty gateway. An append of 254 events names fewer lists of paths; a list is some KiB.
const SENT_MAX = 64;
const KNOWN_MAX = 1_024;
const KNOWN_BYTES_MAX = 2_097_152;
const WRITTEN_MAX = 4_096;

/**
 * The definitions that a log knows, and the digests of those that stand in the current key epoch. Both are
 * in memory alone, like the epoch's key: a new epoch writes each definition anew before the first record that
 * names it, so that an auditor who can open a record can open its definitions. When memory is full the log
 * forgets: a forgotten definition is asked for, and written once more, which harms no reader.
 */
export class LogDefinitions {
  // the least recently named first
  readonly #known = new Newest<SizedDefinition>(KNOWN_MAX, KNOWN_BYTES_MAX, ({ content }) => content.length);
  #epoch = 0;
  #written = new Set<string>();

  /**
   * The definitions of these digests. Undefined when the log lacks one, and its content did not come along.
   * `sent`: contents from the caller; each must be valid. Throws a TypeError for invalid content.
   */
  find(digests: readonly string[], sent: unknown, now: Instant): readonly SizedDefinition[] | undefined {
    for (const digest of digests) this.#use(digest);
    if (sent !== undefined && digests.some((digest) => !this.#known.has(digest)))
      this.#learn(new Set(digests), sent, now);
    const found = digests.flatMap((digest) => this.#known.get(digest) ?? []);
    return found.length === digests.length ? found : undefined;
  }

  isWritten(digest: string, epoch: number): boolean {
    return epoch === this.#epoch && this.#written.has(digest);
  }

  /** Call when the records of these definitions are durable. */
  wrote(definitions: Iterable<Definition>, epoch: number): void {
    if (epoch !== this.#epoch) [this.#epoch, this.#written] = [epoch, new Set()];
    for (const { digest } of definitions) {
      if (this.#written.size >= WRITTEN_MAX) this.#written.clear();
      this.#written.add(digest);
    }
  }

  #learn(digests: ReadonlySet<string>, sent: unknown, now: Instant): void {
    for (const content of contentsIn(sent)) {
      const read = readContent(content);
      if (!read.ok) throw badDefinition();
      const { digest } = read.value;
      if (!digests.has(digest) || this.#known.has(digest)) continue;
      this.#known.set(digest, sized({ digest, content: read.value.content }, now));
    }
  }

  /** Makes a definition the most recently named. */
  #use(digest: string): void {
    const definition = this.#known.get(digest);
    if (definition !== undefined) this.#known.set(digest, definition);
  }
}

/** RPC callers may send any type. */
function contentsIn(sent: unknown): readonly Uint8Array[] {
  if (!Array.isArray(sent) || sent.length > SENT_MAX) throw badDefinition();
  const contents = sent.filter((content) => content instanceof Uint8Array);
  const bytes = contents.reduce((sum, { length }) => sum + length, 0);
  if (contents.length !== sent.length || bytes > definitionBytesMax) throw badDefinition();
  return contents;
}

/** A definition's records, ready to be sealed. */
export function recordsOfDefinition(definition: Definition, at: Instant): DraftRecord[] {
  const events = definitionRecords(definition, at);
  return events.map((event, i) => {
    const seed = recordSeed();
    const plaintext = encodeRecord(event, i + 1, events.length, seed);
    return { plaintext, seed, lines: [], consents: undefined, linesRoot: recordSeed() };
  });
}

function sized(definition: Definition, now: Instant): SizedDefinition {
  const records = recordsOfDefinition(definition, now);
  const leafBytes = records.reduce((sum, { plaintext }) => sum + leafLength(plaintext.length), 0);
  return { ...definition, leaves: records.length, leafBytes };
}

const badDefinition = (): Error => new TypeError("ledger: bad definition");
