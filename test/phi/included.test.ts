import * as fc from "fast-check";
import { test } from "vitest";
import { includedResources, type Candidate } from "#phi/included";
import type { GrantedInclude } from "#policy/grant";

const types = ["Encounter", "Observation", "Practitioner"] as const;

function candidate(
  key: string,
  links: readonly ReadonlySet<string>[],
  may: (through: ReadonlySet<string>) => boolean = () => true,
): Candidate {
  const [type = "", id = ""] = key.split("/");
  const released = {
    type,
    id,
    text: new Uint8Array(),
    patients: new Set<string>(),
    unseen: new Set<string>(),
    room: 0,
    unnamed: false,
    withheld: 0,
    records: 1,
  };
  const linked = { released, shown: {}, links };
  return { ...linked, through: (names) => (may(names) ? linked : undefined) };
}

const written = (brought: ReturnType<typeof includedResources>) =>
  brought.map(({ type, id }) => `${type}/${id}`);

/** The same as a plain definition: round after round, each candidate against each row. */
function plainly(
  matches: readonly Candidate[],
  candidates: readonly Candidate[],
  includes: readonly GrantedInclude[],
): readonly string[] {
  const keyOf = ({ released: { type, id } }: Candidate) => `${type}/${id}`;
  const led = new Map<string, Set<string>>();
  const brought: string[] = [];
  let reached = matches;
  for (let round = 0; reached.length > 0; round += 1) {
    const next: Candidate[] = [];
    for (const one of candidates.toSorted((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))) {
      if (matches.some((match) => keyOf(match) === keyOf(one))) continue;
      const through = led.get(keyOf(one)) ?? new Set();
      const before = through.size;
      for (const [index, { direction, iterate, source, targets, name }] of includes.entries()) {
        if (round > 0 && !iterate) continue;
        const leads = reached.some((row) => {
          const [from, to] = direction === "include" ? [row, one] : [one, row];
          return (
            from.released.type === source &&
            targets.has(to.released.type) &&
            from.links[index]?.has(keyOf(to)) === true
          );
        });
        if (leads) through.add(name);
      }
      led.set(keyOf(one), through);
      if (through.size > before && one.through(through) !== undefined) next.push(one);
    }
    brought.push(...next.map(keyOf).filter((key) => !brought.includes(key)));
    reached = next;
  }
  return brought;
}

const key = fc.tuple(fc.constantFrom(...types), fc.nat({ max: 4 })).map(([type, id]) => `${type}/${id}`);
const include: fc.Arbitrary<GrantedInclude> = fc.record({
  direction: fc.constantFrom("include", "revinclude"),
  iterate: fc.boolean(),
  source: fc.constantFrom(...types),
  name: fc.constantFrom("a", "b", "c"),
  paths: fc.constant([]),
  targets: fc.subarray([...types], { minLength: 1 }).map((some) => new Set<string>(some)),
});
const linked = (includes: number) =>
  fc.tuple(
    key,
    fc.array(fc.uniqueArray(key, { maxLength: 3 }), { minLength: includes, maxLength: includes }),
    fc.subarray(["a", "b", "c"]),
  );

test("a resource is included if a released row leads to it by a reference that its view permits", ({
  expect,
}) => {
  const worlds = fc
    .array(include, { minLength: 1, maxLength: 4 })
    .chain((includes) =>
      fc.tuple(
        fc.constant(includes),
        fc.array(linked(includes.length), { maxLength: 4 }),
        fc.array(linked(includes.length)),
      ),
    );
  fc.assert(
    fc.property(worlds, ([includes, some, others]) => {
      const make = (list: typeof some) =>
        [...new Map(list.map(([key, links, needs]) => [key, { key, links, needs }])).values()].map(
          ({ key, links, needs }) =>
            candidate(
              key,
              links.map((one) => new Set(one)),
              (through) => needs.every((name) => through.has(name)),
            ),
        );
      const [matches, candidates] = [make(some), make(others)];
      expect(written(includedResources(matches, candidates, includes))).toEqual(
        plainly(matches, candidates, includes),
      );
    }),
    { numRuns: 2_000 },
  );
});

test("fifty thousand that lead to each other one by one, and a thousand rows, take no more than their references", ({
  expect,
}) => {
  const [partOf, context] = [
    {
      direction: "include",
      iterate: true,
      source: "Encounter",
      name: "Encounter:part-of",
      paths: [],
      targets: new Set(["Encounter"]),
    },
    {
      direction: "revinclude",
      iterate: true,
      source: "Observation",
      name: "Observation:encounter",
      paths: [],
      targets: new Set(["Encounter"]),
    },
  ] as const;
  const includes = [...Array.from({ length: 8 }, () => partOf), ...Array.from({ length: 8 }, () => context)];
  const links = (to: string) => includes.map(() => new Set([to]));
  const rows = Array.from({ length: 1_000 }, (_, at) => candidate(`Encounter/m${at}`, links("Encounter/0")));
  const chain = Array.from({ length: 25_000 }, (_, at) =>
    candidate(`Encounter/${at}`, links(`Encounter/${at + 1}`)),
  );
  const beside = Array.from({ length: 25_000 }, (_, at) =>
    candidate(`Observation/${at}`, links(`Encounter/${at}`)),
  );
  const began = process.cpuUsage();
  expect(includedResources(rows, [...chain, ...beside], includes)).toHaveLength(50_000);
  // Processor time: other processes do not count. A comparison of all pairs would take hours.
  expect(process.cpuUsage(began).user / 1_000).toBeLessThan(15_000);
});
