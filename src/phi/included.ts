import type { JsonObject } from "#fhir/json/json";
import type { GrantedInclude } from "#policy/grant";
import type { Released } from "./disclosure.ts";

/**
 * A resource on a page, and the targets of its references that includes follow: a set for each include, in
 * the order of the includes.
 */
export interface Linked {
  readonly released: Released;
  /** The resource as it leaves. */
  readonly shown: JsonObject;
  /** As `Type/id`, read from the redacted resource: a hidden reference includes nothing. */
  readonly links: readonly ReadonlySet<string>[];
}

/**
 * A resource that the origin sent as included. It leaves if a resource that leaves refers to it by a
 * reference that its view permits.
 */
export interface Candidate extends Linked {
  /**
   * The resource as it leaves if these references lead to it (`Type:parameter`); `undefined` if it does not
   * leave.
   */
  readonly through: (names: ReadonlySet<string>) => Linked | undefined;
}

const keyOf = ({ released }: Linked): string => `${released.type}/${released.id}`;

/**
 * Selects the included resources that the includes ask for: an origin may send more than that, or include
 * resources for a row that does not leave. Each resource occurs once, in the order of types and ids within a
 * round, since the origin's order depends on hidden rows. `:iterate` continues from the included resources.
 * The time is linear in the references: an origin may send tens of thousands of resources in a single chain.
 *
 * @param candidates each resource once.
 */
export function includedResources(
  matches: readonly Linked[],
  candidates: readonly Candidate[],
  includes: readonly GrantedInclude[],
): readonly Released[] {
  if (candidates.length === 0) return [];
  const byKey = new Map(
    candidates.map((candidate) => [keyOf(candidate), { candidate, names: new Set<string>() }]),
  );
  for (const match of matches) byKey.delete(keyOf(match));
  const leadsFrom = leadsOf(candidates, includes);
  const included = new Map<string, Linked>();
  let current: readonly Linked[] = matches;
  for (let round = 0; current.length > 0; round += 1) {
    const referred = new Set<string>();
    for (const row of current) {
      for (const { key, include } of leadsFrom(row)) {
        const candidateEntry = round === 0 || include.iterate ? byKey.get(key) : undefined;
        if (candidateEntry === undefined || candidateEntry.names.has(include.name)) continue;
        candidateEntry.names.add(include.name);
        referred.add(key);
      }
    }
    current = [...referred].sort().flatMap((key) => {
      const candidateEntry = byKey.get(key);
      return candidateEntry?.candidate.through(candidateEntry.names) ?? [];
    });
    // a further reference may show more of the same resource
    for (const row of current) included.set(keyOf(row), row);
  }
  return [...included.values()].map(({ released }) => released);
}

interface Lead {
  readonly key: string;
  readonly include: GrantedInclude;
}

/**
 * The targets of the includes from a row: the resources it refers to, and the candidates that refer to it.
 */
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
        const leadsFrom = back.get(reference) ?? [];
        leadsFrom.push({ key: keyOf(candidate), include });
        back.set(reference, leadsFrom);
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
