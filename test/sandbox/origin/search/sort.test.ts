import type { Bundle, Resource } from "@medplum/fhirtypes";
import { afterAll, test } from "vitest";
import { parseExact } from "../../../../sandbox/origin/exact-json.ts";
import { startOrigin } from "../../../../sandbox/origin/server.ts";

const origin = await startOrigin();
afterAll(() => origin.close());

const sorted = async (query: string): Promise<(string | undefined)[]> => {
  const { entry = [] }: Bundle = await (await fetch(`${origin.url}/${query}`)).json();
  return entry.map(({ resource }) => resource?.id);
};
const observation = (id: string, more: object) =>
  ({ resourceType: "Observation", id, status: "final", code: { text: "x" }, ...more }) as Resource;

test("dates sort as times of their own zone and precision, not as texts", async ({ expect }) => {
  const dated = {
    e: { effectiveDateTime: "2024-03-01T23:30:00-05:00" }, // 04:30 the next day
    d: { effectiveDateTime: "2024-03-02T03:00:00Z" },
    b: { effectiveDateTime: "2020-05" },
    none: {},
    a: { effectiveDateTime: "2020" },
    c: { effectiveDateTime: "2020-05-02" },
  };
  await origin.load(Object.entries(dated).map(([id, date]) => observation(id, date)));
  expect(await sorted("Observation?_sort=date")).toEqual(["a", "b", "c", "d", "e", "none"]);
});

test("a period sorts by its start, descending by its end, and an open period is the latest", async ({
  expect,
}) => {
  const encounter = (id: string, period: object) =>
    ({ resourceType: "Encounter", id, status: "finished", class: { code: "AMB" }, period }) as Resource;
  await origin.load([
    encounter("short", { start: "2024-01-02", end: "2024-01-03" }),
    encounter("long", { start: "2024-01-01", end: "2024-02-01" }),
    encounter("on", { start: "2024-01-03" }),
    encounter("since", { end: "2023-01-01" }),
  ]);
  expect(await sorted("Encounter?_sort=date")).toEqual(["since", "long", "short", "on"]);
  expect(await sorted("Encounter?_sort=-date")).toEqual(["on", "long", "short", "since"]);
});

test("numbers sort as numbers, as many digits as they have", async ({ expect }) => {
  const measured = Object.entries({ ten: "10.0", nine: "9", negative: "-3", many: "10.50" }).map(
    ([id, value]) =>
      observation(id, { method: { text: "measured" }, valueQuantity: parseExact(`{"value":${value}}`) }),
  );
  await origin.load(measured);
  const query = "Observation?_id=ten,nine,negative,many,none&_sort=";
  expect(await sorted(`${query}value-quantity`)).toEqual(["negative", "nine", "ten", "many", "none"]);
  expect(await sorted(`${query}-value-quantity`)).toEqual(["many", "ten", "nine", "negative", "none"]);
});

test("strings sort without case and accents, by several keys, and equals stay in the order of storing", async ({
  expect,
}) => {
  const patient = (id: string, family: string | undefined, birthDate: string) =>
    ({
      resourceType: "Patient",
      id,
      birthDate,
      ...(family !== undefined && { name: [{ family }] }),
    }) as Resource;
  await origin.load([
    patient("nobody", undefined, "1950"),
    patient("z", "Zimmer", "1990"),
    patient("a2", "árbol", "1980"),
    patient("a1", "Arbol", "1970"),
    patient("b1", "baker", "1980-01-01"),
    patient("a3", "ARBOL", "1980"),
  ]);
  expect(await sorted("Patient?_sort=family")).toEqual(["a2", "a1", "a3", "b1", "z", "nobody"]);
  expect(await sorted("Patient?_sort=-family")).toEqual(["z", "b1", "a2", "a1", "a3", "nobody"]);
  expect(await sorted("Patient?_sort=family,birthdate")).toEqual(["a1", "a2", "a3", "b1", "z", "nobody"]);
  expect(await sorted("Patient?_sort=family,-birthdate,-_id")).toEqual([
    "a3",
    "a2",
    "a1",
    "b1",
    "z",
    "nobody",
  ]);
});

test("the least of several values counts, descending the greatest", async ({ expect }) => {
  const patient = (id: string, ...given: string[]) =>
    ({ resourceType: "Patient", id, name: given.map((name) => ({ given: [name] })) }) as Resource;
  await origin.load([patient("wide", "a", "z"), patient("mid", "m")]);
  expect(await sorted("Patient?_id=wide,mid&_sort=given")).toEqual(["wide", "mid"]);
  expect(await sorted("Patient?_id=wide,mid&_sort=-given")).toEqual(["wide", "mid"]);
});
