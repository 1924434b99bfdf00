import { isObject, readJson, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { joinBytes } from "#fhir/json/bytes";
import { namesForeignBase } from "#fhir/foreign-base";
import type { FhirQuestion, OriginAnswer, OriginBody, Origins } from "#fhir/ports";
import type { FhirBase } from "#fhir/r4/reference";
import type { OriginEntry } from "#registry/state";
import type { Clock, Instant } from "#kernel/clock";
import { isAt, type AllowedPlaces } from "#platform/config/allowed-places";
import { originAddress, type OriginCredentials } from "./origin-address.ts";
import type { OriginState } from "./origin-state.ts";
import { originTraits } from "./origin-traits.ts";
import { upstream } from "./upstream.ts";

export interface OriginStatesPorts {
  /** All registered origins. Throws when the registry cannot be read. */
  readonly list: () => Promise<readonly OriginEntry[]>;
  readonly credentials: OriginCredentials;
  readonly allowed: Pick<AllowedPlaces, "originHosts">;
  readonly clock: Clock;
  /** Lets a question run longer than the request that asked it. */
  readonly keepAlive: (work: Promise<unknown>) => void;
  readonly wait: (milliseconds: number) => Promise<unknown>;
}

const freshMilliseconds = 60_000;
const patienceMilliseconds = 2_000;
// Anyone may ask for readiness, so only a few of a thousand origins are asked at a time.
const asksMax = 8;
const bytesMax = 4_194_304; // some servers' CapabilityStatements have two megabytes

/**
 * The state of each origin, at most a minute old once it is known. The time of a question is claimed before
 * the question, so that a flood of requests causes only one question a minute. A late answer is used for the
 * next requests.
 */
export function originStates(ports: OriginStatesPorts): () => Promise<Readonly<Record<string, OriginState>>> {
  const known = new Map<string, { readonly claimed: Instant; readonly state: OriginState }>();
  return async () => {
    const entries = await ports.list();
    const at = ports.clock();
    const keys = new Map(entries.map((entry) => [entry.name, JSON.stringify(entry)]));
    for (const key of known.keys()) if (![...keys.values()].includes(key)) known.delete(key);
    const stale = entries.filter(
      ({ name }) =>
        at - (known.get(keys.get(name) ?? "")?.claimed ?? Number.NEGATIVE_INFINITY) >= freshMilliseconds,
    );
    const asking = stale.slice(0, asksMax).map(async (entry) => {
      const key = keys.get(entry.name) ?? "";
      known.set(key, { claimed: at, state: known.get(key)?.state ?? "unchecked" });
      known.set(key, { claimed: at, state: await stateOf(entry, ports) });
    });
    const questions = Promise.all(asking).catch(() => {});
    ports.keepAlive(questions);
    await Promise.race([questions, ports.wait(patienceMilliseconds)]);
    return Object.fromEntries(
      entries.map(({ name }) => [name, known.get(keys.get(name) ?? "")?.state ?? "unchecked"]),
    );
  };
}

async function stateOf(
  entry: OriginEntry,
  { credentials, allowed, clock, wait }: OriginStatesPorts,
): Promise<OriginState> {
  if (!isAt(entry.url, allowed.originHosts)) return "host_not_allowed";
  const address = addressOf(entry, credentials);
  if (address === undefined) return "secret_not_available";
  // These questions have their own health counts, so they open no circuit breaker.
  const origins = upstream({
    find: () => Promise.resolve(address),
    traits: () => Promise.resolve(originTraits(entry)),
    hosts: allowed.originHosts,
    clock,
    wait,
    chance: () => 0,
  });
  // No question returns data of a patient.
  for (const question of [
    { path: "metadata", query: "" },
    { path: "Organization", query: "_count=1" },
  ]) {
    const state = await answered(origins, entry, question, address.base);
    if (state !== "ready") return state;
  }
  return (await refusesPostedSearch(origins, entry)) ? "less_than_registered" : "ready";
}

/**
 * True if the origin answers a search for organizations by GET and refuses it by POST, which its entry lists. The
 * gateway would refuse each chain and each posted search, since their values may not stand in a URL.
 */
async function refusesPostedSearch(origins: Origins, { name, capabilities }: OriginEntry): Promise<boolean> {
  if (capabilities?.searchByPost !== true) return false;
  const ask = async (posted: boolean) => {
    const question = { path: "Organization", query: "_count=1", posted };
    const answer = await origins.ask(name, question, { client: "", certificate: undefined });
    if (answer?.kind === "answered") await boundedText(answer.body);
    return answer;
  };
  if ((await ask(false))?.kind !== "answered") return false;
  const posted = await ask(true);
  return (
    posted?.kind === "absent" || (posted?.kind === "refused" && posted.status >= 400 && posted.status < 500)
  );
}

function addressOf(entry: OriginEntry, credentials: OriginCredentials) {
  try {
    return originAddress(entry, credentials);
  } catch {
    // the secret, or the kind of credentials; the log names it for each request that needs it
    return undefined;
  }
}

async function answered(
  origins: Origins,
  entry: OriginEntry,
  question: FhirQuestion,
  base: FhirBase,
): Promise<OriginState> {
  const answer: OriginAnswer | undefined = await origins.ask(entry.name, question, {
    client: "",
    certificate: undefined,
  });
  switch (answer?.kind) {
    case "answered": {
      const text = await boundedText(answer.body);
      const read = text === undefined ? undefined : readJson(text);
      if (read?.ok !== true) return "ready";
      if (namesForeignBase(read.value, base)) return "named_otherwise";
      return question.path === "metadata" && lacksRegistered(read.value, entry)
        ? "less_than_registered"
        : "ready";
    }
    case "refused":
      if (answer.status === 401 || answer.status === 403) return "credentials_refused";
      return answer.status >= 500 ? "unreachable" : "ready"; // the server exists but has no such list
    case "absent":
      // R4 requires a CapabilityStatement of every server
      return question.path === "metadata" ? "no_fhir_server" : "ready";
    case undefined:
    case "circuit_open":
    case "unreachable":
    case "timed_out":
      return "unreachable";
  }
}

/** Compares a CapabilityStatement (FHIR R4 §5.1) with the types of an entry. */
function lacksRegistered(statement: Json, { capabilities }: OriginEntry): boolean {
  if (!isObject(statement)) return false;
  const texts = (value: JsonObject, path: readonly string[]) => new Set(valuesAt(value, path));
  const stated = new Map(
    valuesAt(statement, ["rest", "resource"]).flatMap((one) =>
      isObject(one) ? [[textAt(one, "type") ?? "", one] as const] : [],
    ),
  );
  const ofEach = texts(statement, ["rest", "searchParam", "name"]);
  return Object.entries(capabilities?.types ?? {}).some(([type, { interactions, search }]) => {
    const one = stated.get(type);
    if (one === undefined) return true;
    const [acts, parameters] = [texts(one, ["interaction", "code"]), texts(one, ["searchParam", "name"])];
    return (
      interactions.some((code) => !acts.has(code)) ||
      // Servers evaluate _id and _lastUpdated without a word.
      search.some((code) => !code.startsWith("_") && !parameters.has(code) && !ofEach.has(code))
    );
  });
}

async function boundedText(body: OriginBody): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    if (!chunk.ok) return undefined;
    length += chunk.value.length;
    if (length > bytesMax) return undefined; // leaving the loop closes the connection
    chunks.push(chunk.value);
  }
  return joinBytes(chunks);
}
