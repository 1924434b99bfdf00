import * as fc from "fast-check";
import { test } from "vitest";
import { find } from "../../../../sandbox/origin/search/find.ts";
import { includedWith, readAskedInclude } from "../../../../sandbox/origin/join/include.ts";
import { readSearchQuery } from "../../../../sandbox/origin/search/query.ts";
import { ResourceIndex } from "../../../../sandbox/origin/resource-index.ts";

interface World {
  readonly patients: readonly {
    readonly gender: string;
    readonly link: number;
    readonly organization: number;
  }[];
  readonly observations: readonly { readonly status: string; readonly subject: number }[];
  readonly organizations: readonly { readonly partOf: number }[];
}
const size = 5;
const place = fc.integer({ min: 0, max: size - 1 });
const worlds: fc.Arbitrary<World> = fc.record({
  patients: fc.array(
    fc.record({ gender: fc.constantFrom("male", "female", "other"), link: place, organization: place }),
    {
      minLength: size,
      maxLength: size,
    },
  ),
  observations: fc.array(fc.record({ status: fc.constantFrom("final", "amended"), subject: place }), {
    maxLength: 8,
  }),
  organizations: fc.array(fc.record({ partOf: place }), { minLength: size, maxLength: size }),
});

function shelfOf({ patients, observations, organizations }: World): ResourceIndex {
  const index = new ResourceIndex("http://origin.test/fhir");
  const put = (resourceType: string, id: number, more: object) =>
    index.put({
      resourceType,
      id: String(id),
      meta: { versionId: "1", lastUpdated: "2026-01-01T00:00:00Z" },
      ...more,
    });
  const to = (type: string, id: number) => ({ reference: `${type}/${id}` });
  for (const [id, { gender, link, organization }] of patients.entries())
    put("Patient", id, {
      gender,
      link: [{ type: "seealso", other: to("Patient", link) }],
      managingOrganization: to("Organization", organization),
    });
  for (const [id, { status, subject }] of observations.entries())
    put("Observation", id, { status, subject: to("Patient", subject) });
  for (const [id, { partOf }] of organizations.entries())
    put("Organization", id, { partOf: to("Organization", partOf) });
  return index;
}
function found(index: ResourceIndex, type: string, ...pairs: (readonly [string, string])[]): Set<number> {
  const query = readSearchQuery([type], pairs, index);
  if (!query.ok) throw new Error(query.error.text);
  return new Set(find(index, query.value).map(({ id }) => Number(id)));
}
const where = <T>(all: readonly T[], is: (one: T) => boolean) =>
  new Set([...all.keys()].filter((id) => all[id] !== undefined && is(all[id])));

test("in any world a chain and a _has find the same as a full scan, over one hop and two", ({ expect }) => {
  fc.assert(
    fc.property(worlds, fc.constantFrom("male", "female", "other"), place, (world, gender, top) => {
      const index = shelfOf(world);
      const { patients, observations, organizations } = world;
      const is = (id: number) => patients[id]?.gender === gender;
      expect(found(index, "Observation", ["patient.gender", gender])).toEqual(
        where(observations, ({ subject }) => is(subject)),
      );
      expect(found(index, "Observation", ["subject:Patient.link.gender", gender])).toEqual(
        where(observations, ({ subject }) => is(patients[subject]?.link ?? -1)),
      );
      expect(found(index, "Patient", ["organization.partof", `Organization/${top}`])).toEqual(
        where(patients, ({ organization }) => organizations[organization]?.partOf === top),
      );
      const final = where(observations, ({ status }) => status === "final");
      const withFinal = new Set([...final].flatMap((id) => observations[id]?.subject ?? []));
      expect(found(index, "Patient", ["_has:Observation:patient:status", "final"])).toEqual(withFinal);
      expect(
        found(index, "Organization", ["_has:Patient:organization:_has:Observation:patient:status", "final"]),
      ).toEqual(new Set([...withFinal].flatMap((id) => patients[id]?.organization ?? [])));
      expect(
        found(index, "Patient", ["_has:Observation:patient:status", "final"], ["gender", gender]),
      ).toEqual(new Set([...withFinal].filter(is)));
    }),
  );
});

test("in any world an iterated include returns the reachable resources, and never a match", ({ expect }) => {
  fc.assert(
    fc.property(worlds, fc.uniqueArray(place, { minLength: 1 }), (world, chosen) => {
      const index = shelfOf(world);
      const matches = chosen.flatMap((id) => index.get("Organization", String(id)) ?? []);
      const include = readAskedInclude("_include:iterate", "Organization:partof");
      if (include?.ok !== true) throw new Error("no include");
      const reached = new Set(chosen);
      for (const id of reached) reached.add(world.organizations[id]?.partOf ?? id);
      const { included, cut } = includedWith(matches, [include.value], index);
      expect([cut, included.length]).toEqual([false, reached.size - chosen.length]);
      expect(new Set([...chosen, ...included.map(({ id }) => Number(id))])).toEqual(reached);
    }),
  );
});

test("in any world a replaced or removed resource is no longer found by its old references", ({ expect }) => {
  fc.assert(
    fc.property(worlds, worlds, (before, after) => {
      const index = shelfOf(before);
      const other = shelfOf(after);
      for (const type of ["Patient", "Observation", "Organization"])
        for (let id = 0; id < 8; id++) {
          const now = other.get(type, String(id));
          if (now === undefined) index.remove(type, String(id));
          else index.put(now);
        }
      for (const [name, value] of [
        ["patient.gender", "male"],
        ["patient", "0"],
        ["subject", "Patient/1"],
      ] as const)
        expect(found(index, "Observation", [name, value]), name).toEqual(
          found(other, "Observation", [name, value]),
        );
      expect(new Set(index.compartment("2"))).toEqual(new Set(other.compartment("2")));
    }),
  );
});
