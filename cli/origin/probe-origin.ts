import type { RegistryDocument } from "#registry/document";
import type { OriginProbe } from "#registry/origin-probe";
import { namesForeignBase } from "#fhir/foreign-base";
import type { FhirClient, FhirReply } from "./fhir-client.ts";
import {
  probePageLinks,
  probePageMax,
  probePostSearch,
  probeSearches,
  probeStrict,
  probeTotal,
} from "./probe-searches.ts";
import { basesIn, sorted, statedTypes, type StatedType } from "./probe-statement.ts";
import { probeWrites, type FoundWrites } from "./probe-writes.ts";

type OriginMembers = Pick<
  RegistryDocument["origins"][number],
  "alsoKnownAs" | "transactions" | "honoursIfMatchOnDelete" | "capabilities"
>;

export interface ProbeReport {
  /** Members of the origin's entry in the registry file. */
  readonly members: OriginMembers;
  /** The findings for the record: they name a partial transaction too, and the ignored parameters. */
  readonly findings: Omit<OriginProbe, "origin" | "url">;
  /** Findings for the operator, a line each. They contain no row of the server. */
  readonly notes: readonly string[];
  /** False if a synthetic resource could not be deleted. */
  readonly isClean: boolean;
}

/**
 * Finds out what a FHIR server does, by asking it. `undefined` if there is no CapabilityStatement below its
 * base.
 *
 * @param mayWrite the operator allows synthetic resources, which are deleted afterwards.
 * @param only the types of interest; undefined: each type that the server states.
 */
export async function probeOrigin(
  client: FhirClient,
  mayWrite: boolean,
  only?: readonly string[],
): Promise<ProbeReport | undefined> {
  const statement = await client.ask({ path: "metadata" });
  const all = statedTypes(statement);
  if (all === undefined) return undefined;
  const stated = new Map([...all].filter(([type]) => only === undefined || only.includes(type)));
  const [searched] = searchedTypes(stated);
  const written = mayWrite ? await probeWrites(client) : undefined;

  const isStrict = searched !== undefined && (await probeStrict(client, searched));
  const searches = await probeSearches(client, stated, isStrict);
  const pageLinks = await probePageLinks(client, searchedTypes(stated));
  const list = searched === undefined ? undefined : await client.ask({ path: `${searched}?_count=1` });
  const names = otherNames(client.base, [statement, ...(list ? [list] : []), ...(written?.replies ?? [])]);

  const capabilities = {
    ...(written?.updateAsCreate !== undefined && { updateAsCreate: written.updateAsCreate }),
    ...(written?.honoursIfMatchOnUpdate !== undefined && {
      honoursIfMatchOnUpdate: written.honoursIfMatchOnUpdate,
    }),
    ...(written?.honoursIfNoneExist !== undefined && { honoursIfNoneExist: written.honoursIfNoneExist }),
    ...(searched !== undefined && { searchByPost: await probePostSearch(client, searched) }),
    ...(written?.everything !== undefined && { everything: written.everything }),
    ...(written?.elements !== undefined && { elements: written.elements }),
    ...(written?.chains !== undefined && { chains: written.chains }),
    ...(searched !== undefined && { total: await probeTotal(client, searched), strict: isStrict }),
    ...(pageLinks !== undefined && { pageLinks }),
    ...(pageLinks === false && { pageMax: await probePageMax(client, searchedTypes(stated)) }),
    types: Object.fromEntries(
      [...stated].map(([type, one]) => [
        type,
        {
          interactions: [...interactionsOf(one, written)],
          search: [...sorted(searches.stated.get(type) ?? [])],
        },
      ]),
    ),
  };
  const members = {
    ...(names.length > 0 && { alsoKnownAs: [...names] }),
    ...(written?.transactions === "atomic" && { transactions: written.transactions }),
    ...(written?.honoursIfMatchOnDelete !== undefined && {
      honoursIfMatchOnDelete: written.honoursIfMatchOnDelete,
    }),
    capabilities: capabilities as NonNullable<OriginMembers["capabilities"]>,
  };
  return {
    members,
    findings: {
      wrote: written !== undefined,
      members: { ...members, ...(written?.transactions && { transactions: written.transactions }) },
      missing: [...searches.missing],
      unproven: [...searches.unproven],
    },
    notes: notesOn(searches, written),
    isClean: written === undefined || written.left.length === 0,
  };
}

const searchedTypes = (stated: ReadonlyMap<string, StatedType>): readonly string[] =>
  [...stated].flatMap(([type, { interactions }]) => (interactions.includes("search-type") ? [type] : []));

const [namesMax, listedMax] = [8, 12];

function otherNames(base: string, replies: readonly FhirReply[]): readonly string[] {
  const all = sorted(replies.flatMap(basesIn)).filter((name) => name !== base);
  // a local server that was called as 127.0.0.1 may call itself localhost: that is no second name
  return all.filter((name) => namesForeignBase({ link: [{ url: `${name}/x` }] }, base)).slice(0, namesMax);
}

const historic: ReadonlySet<string> = new Set(["history-instance", "history-type", "vread"]);

/** The stated interactions, without those with versions that the server did not answer when they were tried. */
function interactionsOf({ interactions }: StatedType, written: FoundWrites | undefined): readonly string[] {
  const answered = written?.history;
  if (answered === undefined) return interactions;
  return interactions.filter((name) => !historic.has(name) || answered.has(name));
}

function notesOn(
  { missing, unproven }: { readonly missing: readonly string[]; readonly unproven: readonly string[] },
  written: FoundWrites | undefined,
): readonly string[] {
  return [
    ...(missing.length > 0
      ? [`${missing.length} stated search parameters are ignored or refused, and left out: ${some(missing)}`]
      : []),
    ...(unproven.length > 0
      ? [
          `${unproven.length} search parameters are stated and not proven, since these types have no rows that could show anything: ${some(unproven)}`,
        ]
      : []),
    ...(written === undefined
      ? ["nothing was written: repeat with --allow-writes to learn what the server does with writes"]
      : []),
    ...(written?.transactions === "partial"
      ? [
          'the server does a part of a failed transaction: state "transactions": "partial" only if you accept that',
        ]
      : []),
    ...(written?.left.map((path) => `not deleted: ${path}`) ?? []),
  ];
}

const some = (names: readonly string[]): string =>
  names.slice(0, listedMax).join(", ") + (names.length > listedMax ? " …" : "");
