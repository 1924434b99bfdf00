import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Bundle, Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { parseExact } from "../../../sandbox/origin/exact-json.ts";
import { startOrigin } from "../../../sandbox/origin/server.ts";
import { readFolder } from "../../../sandbox/fhir-server/load.ts";
import { lane } from "../../support/lane.ts";

const data = join(import.meta.dirname, "../../../../shared/data/fhir");
const folders = ["synthea-2019", "synthea-2020", "synthea-2024"].map((name) => join(data, name));

/** Copies of the resources under new ids, with their references adjusted. */
const again = (resources: readonly Resource[], copy: number): Resource[] => {
  const text = JSON.stringify(resources)
    .replaceAll(/("resourceType":"[A-Za-z]+","id":"[^"]+)"/gu, `$1-${copy}"`)
    .replaceAll(/("reference":"[A-Z][A-Za-z]*\/[^"]+)"/gu, `$1-${copy}"`);
  return parseExact(text) as Resource[]; // as before
};

test.skipIf(lane === "fast" || !folders.every((folder) => existsSync(folder)))(
  "with the charts of more than a hundred patients a join takes well below a second (slow lane; skipped without ../shared/data)",
  async ({ expect }) => {
    const one = (await Promise.all(folders.map(async (folder) => await readFolder(folder)))).flatMap(
      ({ resources }) =>
        resources.map(({ resourceType, id, ...rest }) => ({ resourceType, id, ...rest }) as Resource),
    );
    const all = Array.from({ length: 8 }, (_, copy) => again(one, copy)).flat();
    expect(all.filter(({ resourceType }) => resourceType === "Patient").length).toBeGreaterThan(100);

    const origin = await startOrigin();
    const began = performance.now();
    await origin.load(all);
    const figures = [`${all.length} resources loaded in ${Math.round(performance.now() - began)} ms`];
    for (const query of [
      "Observation?_count=1000&_include=Observation:patient&_include=Observation:encounter",
      "Patient?_count=1000&_revinclude=Condition:patient",
      "Patient?_has:Observation:patient:code=8302-2",
      "Observation?patient.gender=female&_count=100",
      "Encounter?patient._has:Condition:patient:clinical-status=active&_include:iterate=*&_sort=-date",
    ]) {
      const start = performance.now();
      const { total = 0, entry = [] }: Bundle = await (await fetch(`${origin.url}/${query}`)).json();
      const took = performance.now() - start;
      figures.push(`${query}: ${total} found, ${entry.length} sent, ${Math.round(took)} ms`);
      expect([total > 0, took < 1_000], query).toEqual([true, true]);
    }
    console.log(figures.join("\n"));
    await origin.close();
  },
);
