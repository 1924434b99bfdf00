import { type Definition, define } from "#audit/definition";
import type { AuditEvent } from "#audit/event";
import type { Instant } from "#kernel/clock";
import { memo, Newest } from "#kernel/memo";

/** An append as it is sent: long content is named by its digest. */
export interface NamedEvents {
  readonly events: readonly AuditEvent[];
  readonly definitions: ReadonlyMap<string, Definition>;
}

// Each distinct list of withheld paths comes from a policy, scopes, a type and an interaction.
const LISTS_MAX = 256;
const definitionOfText = memo(LISTS_MAX, (paths) =>
  define({ type: "withheld-paths", value: JSON.parse(paths) as readonly string[] }),
); // JSON.stringify made the text from such a list
const definitionsOfLists = new WeakMap<readonly string[], Definition>();

function definitionOf(paths: readonly string[]): Definition {
  const known = definitionsOfLists.get(paths);
  if (known !== undefined) return known;
  const definition = definitionOfText(JSON.stringify(paths));
  definitionsOfLists.set(paths, definition);
  return definition;
}

/**
 * Replaces each list of withheld paths and each document's text by the digest of its definition. An empty list
 * needs none.
 */
export function withNames(events: readonly AuditEvent[]): NamedEvents {
  const definitions = new Map<string, Definition>();
  const named = events.map((event): AuditEvent => {
    const { paths, ...withheld } = event.withheld ?? {};
    const { text, ...document } = event.document ?? {};
    let short = event;
    if (paths !== undefined && paths.length > 0) {
      const definition = definitionOf(paths);
      definitions.set(definition.digest, definition);
      short = { ...short, withheld: { ...withheld, pathsDigest: definition.digest } };
    }
    if (text !== undefined) {
      const definition = define({ type: "document-part", value: text });
      definitions.set(definition.digest, definition);
      short = { ...short, document: { ...document, textDigest: definition.digest } };
    }
    return short;
  });
  return { events: named, definitions };
}

// A Durable Object stays in memory for at least ten seconds after a call.
const CONFIRMED_MS = 10_000;
const CONFIRMED_MAX = 4_096;
const RENEWED_MS = 1_000;

/**
 * The definitions that each log took lately. Their content is not sent again: a log that lost its memory in
 * between answers that it lacks the definition.
 */
export class ConfirmedDefinitions {
  readonly #until = new Newest<number>(CONFIRMED_MAX); // by log and digest

  /** The contents that an append must bring along. */
  unconfirmed(log: string, definitions: NamedEvents["definitions"], now: Instant): readonly Uint8Array[] {
    return [...definitions.values()].flatMap(({ digest, content }) =>
      (this.#until.get(`${log} ${digest}`) ?? 0) > now ? [] : content,
    );
  }

  confirm(log: string, definitions: NamedEvents["definitions"], now: Instant): void {
    for (const digest of definitions.keys()) {
      const name = `${log} ${digest}`;
      // Most answers of a log confirm what an answer of the last second confirmed.
      if ((this.#until.get(name) ?? 0) > now + CONFIRMED_MS - RENEWED_MS) continue;
      this.#until.set(name, now + CONFIRMED_MS);
    }
  }
}
