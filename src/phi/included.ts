import type { JsonObject } from "#fhir/json/json";
import type { GrantedInclude } from "#policy/grant";
import type { Released } from "./disclosure.ts";

/**
 * A resource on a page, and where its references lead that an include follows: one set for each include, in
 * their order.
 */
export interface Linked {
  readonly released: Released;
  /** It, as it leaves. */
  readonly shown: JsonObject;
  /** As `Type/id`, read out of what leaves: a hidden reference brings nothing along. */
  readonly links: readonly ReadonlySet<string>[];
}

/**
 * A resource that the origin brought along; it leaves when something that leaves leads to it in a way that
 * its view takes.
 */
export interface Candidate extends Linked {
  /** It, as it leaves where these references lead to it (`Type:parameter`); nothing where it does not. */
  readonly through: (names: ReadonlySet<string>) => Linked | undefined;
}

const keyOf = ({ released }: Linked): string => `${released.type}/${released.id}`;

/**
 * Of what an origin brought along, what the includes mean: an origin may bring more than was asked for, or on
 * behalf of a row that does not leave. Each once, in the order of types and ids within a round, since the
 * origin's depends on the rows that do not leave; `:iterate` goes on from what was brought along. Linear in
 * the references: an origin may bring tens of thousands of resources, each led to by the last.
 *
 * @param candidates each once.
 */
export function includedResources(
  matches: readonly Linked[],
  candidates: readonly Candidate[],
  includes: readonly GrantedInclude[],
): readonly Released[] {
  const known = new Map(
    candidates.map((candidate) => [keyOf(candidate), { candidate, names: new Set<string>() }]),
  );
  for (const match of matches) known.delete(keyOf(match));
  const leads = leadsOf(candidates, includes);
  const brought = new Map<string, Linked>();
  let reached: readonly Linked[] = matches;
  for (let round = 0; reached.length > 0; round += 1) {
    const led = new Set<string>();
    for (const row of reached) {
      for (const { key, include } of leads(row)) {
        const one = round === 0 || include.iterate ? known.get(key) : undefined;
        if (one === undefined || one.names.has(include.name)) continue;
        one.names.add(include.name);
        led.add(key);
      }
    }
    reached = [...led].sort().flatMap((key) => {
      const one = known.get(key);
      return one?.candidate.through(one.names) ?? [];
    });
    // another reference may show more of what is there already
    for (const one of reached) brought.set(keyOf(one), one);
  }
  return [...brought.values()].map(({ released }) => released);
}

interface Lead {
  readonly key: string;
  readonly include: GrantedInclude;
}

/** Where the includes lead from a row: what it refers to, and which of the candidates refer to it. */
function leadsOf(
  candidates: readonly Candidate[],
  includes: readonly GrantedInclude[],
): (row: Linked) => readonly Lead[] {
  const back = new Map<string, Lead[]>();
  for (const candidate of candidates) {
    for (const [index, include] of includes.entries()) {
      if (include.direction === "include" || candidate.released.type !== include.source) continue;
      for (const reference of candidate.links[index] ?? []) {
        if (!include.targets.has(typeOf(reference))) continue;
        const leads = back.get(reference) ?? [];
        leads.push({ key: keyOf(candidate), include });
        back.set(reference, leads);
      }
    }
  }
  return (row) => {
    const onward = includes.flatMap((include, index) => {
      if (include.direction === "revinclude" || row.released.type !== include.source) return [];
      return [...(row.links[index] ?? [])]
        .filter((key) => include.targets.has(typeOf(key)))
        .map((key) => ({ key, include }));
    });
    return [...onward, ...(back.get(keyOf(row)) ?? [])];
  };
}

const typeOf = (reference: string): string => reference.slice(0, reference.indexOf("/"));
