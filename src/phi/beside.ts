import type { JsonObject } from "#fhir/json";
import type { GrantedInclude } from "#policy/grant";
import type { Released } from "./disclosure.ts";

/** A resource on a page, and where its references lead that an include follows: one set for each include, in their order. */
export interface Linked {
  readonly released: Released;
  /** It, as it leaves. */
  readonly shown: JsonObject;
  /** As `Type/id`, read out of what leaves: a hidden reference brings nothing along. */
  readonly links: readonly ReadonlySet<string>[];
}

/** A resource that the origin brought along; it leaves when something that leaves leads to it in a way that its view takes. */
export interface Candidate extends Linked {
  /** Whether it may leave, led to by these references (`Type:parameter`). */
  readonly mayLeave: (through: ReadonlySet<string>) => boolean;
}

const keyOf = ({ released }: Linked): string => `${released.type}/${released.id}`;

/**
 * Of what an origin brought along, what the includes mean: an origin may bring more than was asked for, or on behalf of a row that does not
 * leave. Each once, in the order of types and ids within a round, since the origin's depends on the rows that do not leave; `:iterate` goes
 * on from what was brought along.
 */
export function broughtAlong(
  matches: readonly Linked[],
  candidates: readonly Candidate[],
  includes: readonly GrantedInclude[],
): readonly Released[] {
  const ordered = candidates.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)); // each is there once
  const taken = new Map(matches.map((match) => [keyOf(match), match]));
  const brought: Released[] = [];
  let reached: readonly Linked[] = matches;
  for (let round = 0; reached.length > 0; round += 1) {
    const applying = includes.map((include, index) => ({ include, index })).filter(({ include }) => round === 0 || include.iterate);
    const next = ordered.filter((candidate) => {
      if (taken.has(keyOf(candidate))) return false;
      const through = applying
        .filter(({ include, index }) => leadsTo(include, index, reached, candidate))
        .map(({ include }) => include.name);
      return through.length > 0 && candidate.mayLeave(new Set(through));
    });
    for (const candidate of next) {
      taken.set(keyOf(candidate), candidate);
      brought.push(candidate.released);
    }
    reached = next;
  }
  return brought;
}

function leadsTo({ direction, source, targets }: GrantedInclude, index: number, reached: readonly Linked[], candidate: Candidate): boolean {
  if (direction === "include") {
    if (!targets.has(candidate.released.type)) return false;
    return reached.some((row) => row.released.type === source && row.links[index]?.has(keyOf(candidate)) === true);
  }
  return (
    candidate.released.type === source &&
    reached.some((row) => targets.has(row.released.type) && candidate.links[index]?.has(keyOf(row)) === true)
  );
}
