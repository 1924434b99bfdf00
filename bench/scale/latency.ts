import { readLayout, regionsIn } from "#ledger/layout";
import { nearestRegions } from "#ledger/nearest-regions";
import { commitMilliseconds } from "./cost.ts";

/** Parts of Phylax that a request may wait for, and the origin. */
export type Part = "registry" | "guard" | "revocations" | "origin" | "ledger";
/** Calls one round after the other; the calls of a round run side by side. */
export type Rounds = readonly (readonly Part[])[];

/**
 * The rounds that an answer waits for. test/door/regions.test.ts derives them from traced runs of the gateway
 * itself.
 */
export const requestRounds = {
  read: [["origin"], ["ledger"]],
  "read without a share left": [["guard"], ["origin"], ["ledger"]],
  write: [["ledger"], ["origin"], ["ledger"]],
  "read after a pause": [["registry"], ["guard"], ["revocations"], ["origin"], ["ledger"]],
  "first read of an isolate": [
    ["ledger", "registry"],
    ["guard", "registry", "registry", "registry"],
    ["revocations"],
    ["origin"],
    ["ledger"],
  ],
} as const satisfies Readonly<Record<string, Rounds>>;
export type RequestKind = keyof typeof requestRounds;

export const cities = ["Frankfurt", "Ashburn", "São Paulo", "Mumbai", "Tokyo", "Sydney"] as const;
export type City = (typeof cities)[number];

/** Round trips between cities in ms, as public measurements of the Internet usually have them: assumptions. */
const roundTrips: Readonly<Record<City, readonly number[]>> = {
  Frankfurt: [2, 90, 200, 120, 225, 280],
  Ashburn: [90, 2, 115, 190, 155, 200],
  "São Paulo": [200, 115, 2, 300, 260, 310],
  Mumbai: [120, 190, 300, 2, 120, 150],
  Tokyo: [225, 155, 260, 120, 2, 105],
  Sydney: [280, 200, 310, 150, 105, 2],
};
export const roundTrip = (a: City, b: City): number => roundTrips[a][cities.indexOf(b)] ?? NaN;

/** Milliseconds of work at each part: assumptions, except the commit, which the whole page assumes. */
const workMilliseconds: Readonly<Record<Part, number>> = {
  registry: 2,
  guard: 1,
  revocations: 1,
  origin: 20,
  ledger: commitMilliseconds,
};
const edgeMilliseconds = 10; // from the client to the edge of its city and back
const gatewayMilliseconds = 3;

export type Places = Readonly<Record<Part, City>>;

const callMilliseconds = (part: Part, edge: City, places: Places): number =>
  // the guard asks `Revocations`, not the edge
  roundTrip(part === "revocations" ? places.guard : edge, places[part]) + workMilliseconds[part];

/** The time from a client's request to its answer. */
function answerMilliseconds(rounds: Rounds, edge: City, places: Places): number {
  const waits = rounds.map((calls) => Math.max(...calls.map((part) => callMilliseconds(part, edge, places))));
  return edgeMilliseconds + gatewayMilliseconds + waits.reduce((sum, wait) => sum + wait, 0);
}

/** The same read, if its record ran side by side with the call of the origin. */
const besideOrigin: Rounds = [["origin", "ledger"]];

const near: City = "Frankfurt";
const far: City = "Ashburn";
const control = { registry: far, revocations: far } as const;

/** A client in Frankfurt, and each of three parts in its city or across the Atlantic. */
export function nearAndFar() {
  const both = [near, far] as const;
  return both.flatMap((origin) =>
    both.flatMap((ledger) =>
      both.map((guard) => {
        const places = { ...control, origin, ledger, guard };
        const of = (rounds: Rounds) => answerMilliseconds(rounds, near, places);
        return {
          places,
          read: of(requestRounds.read),
          withGuard: of(requestRounds["read without a share left"]),
          write: of(requestRounds.write),
          beside: of(besideOrigin),
        };
      }),
    ),
  );
}

/** A ledger in three regions, and the cities that stand for them here. */
const exampleRegions = "enam:2 weur:2 apac:2";
const regionCities: Readonly<Record<string, City>> = { enam: "Ashburn", weur: "Frankfurt", apac: "Tokyo" };
const continents: Readonly<Record<City, string>> = {
  Frankfurt: "EU",
  Ashburn: "NA",
  "São Paulo": "SA",
  Mumbai: "AS",
  Tokyo: "AS",
  Sydney: "OC",
};

/** The city of the shard for a request from a city, by the ledger's own choice. */
function shardCity(edge: City): City {
  const layout = readLayout(exampleRegions, 6);
  if (!layout.ok) throw new Error(layout.error);
  const circumstances = { kind: "client", continent: continents[edge] } as const;
  const [nearest] = nearestRegions(regionsIn(layout.value, "2026h2"), circumstances);
  const city = regionCities[nearest?.region ?? ""];
  if (city === undefined) throw new Error(`no region for ${edge}`);
  return city;
}

/** What a client of each city waits for, before and after the ledger has regions and the client a home. */
export function beforeAndAfter() {
  return cities.map((edge) => {
    const shard = shardCity(edge);
    const before = { ...control, guard: far, ledger: far };
    const after = { ...control, guard: shard, ledger: shard };
    const both = (kind: RequestKind, origin: City) =>
      [before, after].map((places) => answerMilliseconds(requestRounds[kind], edge, { ...places, origin }));
    return {
      edge,
      shard,
      readHere: both("read", edge),
      readFar: both("read", far),
      writeHere: both("write", edge),
      firstHere: both("first read of an isolate", edge),
    };
  });
}
