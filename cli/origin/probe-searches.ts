import { property, valuesAt } from "#fhir/json/json";
import { countMax, grownMax } from "#fhir/search/page-count";
import { searchParametersOf, type SearchParameterDefinition } from "#fhir/search/parameters";
import { matchesIn, type FhirClient, type FhirReply } from "./fhir-client.ts";
import type { StatedType } from "./probe-statement.ts";

/** The result of a server's searches. */
export interface FoundSearches {
  /** By type: the parameters that it evaluates, and those that it states and that no answer could show. */
  readonly stated: ReadonlyMap<string, readonly string[]>;
  /** `Type:parameter` that the server states and ignores or refuses. */
  readonly missing: readonly string[];
  /** `Type:parameter` of which no answer could show anything: the server has no such rows and is not strict. */
  readonly unproven: readonly string[];
}

const strictly = { prefer: "handling=strict" };

/** `undefined`: the server has no type that can be searched. */
export async function probeStrict(client: FhirClient, type: string): Promise<boolean> {
  const reply = await client.ask({ path: `${type}?phylax-probe=1&_count=1`, headers: strictly });
  return reply.status === 400 || reply.status === 422;
}

/** A posted search for an id that no resource has finds nothing, unless the server did not read the form. */
export async function probePostSearch(client: FhirClient, type: string): Promise<boolean> {
  const found = matchesIn(await client.ask({ path: `${type}/_search`, form: `_id=${noId}&_count=1` }));
  return found?.length === 0;
}

/** The search for an id that no resource has: does its answer state the total? */
export async function probeTotal(client: FhirClient, type: string): Promise<boolean> {
  const reply = await client.ask({ path: `${type}?_id=${noId}&_total=accurate` });
  const total = reply.body && property(reply.body, "total");
  return matchesIn(reply)?.length === 0 && total !== undefined && JSON.stringify(total) === "0";
}

/**
 * Asks for one row, and for two: does an answer that leaves rows out have a link to them? `undefined`: no type has two
 * rows that could show that.
 */
export async function probePageLinks(
  client: FhirClient,
  types: Iterable<string>,
): Promise<boolean | undefined> {
  let tried = 0;
  for (const type of types) {
    const one = await client.ask({ path: `${type}?_count=1` });
    if (matchesIn(one)?.length !== 1) continue;
    if (linksIn(one).includes("next")) return true;
    const two = await client.ask({ path: `${type}?_count=2` });
    if (matchesIn(two)?.length === 2) return false;
    if ((tried += 1) === linksTriedMax) break;
  }
  return undefined;
}

const linksTriedMax = 10;

/**
 * The rows of the longest page of a server without paging links: of no list of fewer rows was a row left out. A server
 * that has more rows by now may have shown less than it can.
 */
export async function probePageMax(client: FhirClient, types: Iterable<string>): Promise<number> {
  let longest = 1;
  for (const type of types) {
    const rows = matchesIn(await client.ask({ path: `${type}?_count=${grownMax}` }));
    longest = Math.max(longest, rows?.length ?? 0);
    if (longest >= countMax) break;
  }
  return Math.min(longest, grownMax);
}

const linksIn = ({ body }: FhirReply): readonly unknown[] =>
  body === undefined ? [] : valuesAt(body, ["link", "relation"]);

/**
 * Sends each stated parameter with a value that no row has. Rows in the answer show that the server ignores
 * the parameter. An empty answer shows that it evaluates the parameter if the type has rows, or if the server
 * refuses unknown parameters.
 */
export async function probeSearches(
  client: FhirClient,
  types: ReadonlyMap<string, StatedType>,
  isStrict: boolean,
): Promise<FoundSearches> {
  const kept = new Map<string, string[]>();
  const [missing, unproven]: [string[], string[]] = [[], []];
  const searched = [...types].filter(([, { interactions }]) => interactions.includes("search-type"));
  await inTurns(searched, async ([type, { search }]) => {
    const rows = matchesIn(await client.ask({ path: `${type}?_count=1` }));
    const found: string[] = [];
    kept.set(type, found);
    // Each type has `_id`, and servers do not always state that.
    for (const code of new Set(["_id", ...search])) {
      const definition = searchParametersOf(type).get(code);
      if (definition === undefined) continue;
      const verdict = await verdictOn(client, type, definition);
      const name = `${type}:${code}`;
      if (verdict === "ignored" || verdict === "refused") {
        if (search.includes(code)) missing.push(name);
        continue;
      }
      // The statement stands until an answer shows otherwise: without it the gateway would ask for whole types.
      found.push(code);
      if (search.includes(code) && !isStrict && (rows?.length ?? 0) === 0) unproven.push(name);
    }
  });
  return { stated: kept, missing: missing.toSorted(), unproven: unproven.toSorted() };
}

async function verdictOn(
  client: FhirClient,
  type: string,
  definition: SearchParameterDefinition,
): Promise<"empty" | "ignored" | "refused"> {
  for (const value of valuesOfNone(definition)) {
    const query = `${definition.code}=${encodeURIComponent(value)}&_count=1`;
    const found = matchesIn(await client.ask({ path: `${type}?${query}`, headers: strictly }));
    if (found !== undefined) return found.length === 0 ? "empty" : "ignored";
  }
  return "refused";
}

const noId = "phylax-probe-none";

/** Values that no row has. Some servers refuse a value by its form: the next is tried then. */
function valuesOfNone({ code, type, targets }: SearchParameterDefinition): readonly string[] {
  if (code === "_id") return [noId, "00000000-0000-4000-8000-00000000feed"];
  const target = targets?.values().next().value ?? "Patient";
  const values: Readonly<Record<typeof type, readonly string[]>> = {
    token: [`urn:phylax:probe|${noId}`, noId],
    string: [noId],
    date: ["1001-01-01"],
    number: ["-987654321.125"],
    quantity: ["987654321.125||phylax-probe", "987654321.125"],
    reference: [`${target}/${noId}`, `${target}/00000000-0000-4000-8000-00000000feed`],
    uri: [`urn:phylax:probe:${noId}`],
    composite: [],
    special: [],
  };
  return values[type];
}

const atOnce = 4; // a server in use is asked gently

async function inTurns<T>(items: readonly T[], each: (item: T) => Promise<void>): Promise<void> {
  const rest = items.values();
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      for (const item of rest) await each(item);
    }),
  );
}
