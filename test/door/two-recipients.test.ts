import { afterAll, beforeAll, expect, test } from "vitest";
import { likenessOf } from "#deid-check/quasi-identifiers";
import { readLeftJson } from "#deid-check/read-json";
import { dice } from "../phi/random-resource.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { inLane } from "../support/lane.ts";
import { starterPolicy } from "../support/outside.ts";
import { outsideApps, type AskAs } from "../support/outside-apps.ts";

// 45 CFR 164.514(c): the codes of two data sets cannot be linked. What a recipient may still try is shown by the k-table.

const count = inLane({ fast: 100, slow: 1_000, long: 10_000 });
const roll = dice(34);
const pick = <T>(list: readonly [T, ...T[]]): T => list[Math.floor(roll() * list.length)] ?? list[0];
const day = (year: number) =>
  new Date(Date.UTC(year, 0, 1) + Math.floor(roll() * 365) * 86_400_000).toISOString().slice(0, 10);
const zips = ["02115", "02139", "01002", "03601", "10001", "60601"] as const;

interface Person {
  readonly birthDate: string;
  readonly gender: string;
  readonly zip: string;
  readonly visit: string;
}
const people: readonly Person[] = Array.from({ length: count }, () => ({
  birthDate: day(1930 + Math.floor(roll() * 90)),
  gender: pick(["female", "male"]),
  zip: pick(zips),
  visit: day(2020 + Math.floor(roll() * 5)),
}));

/** Each person has three rows, and a measured value that only this person has. */
const rowsOf = ({ birthDate, gender, zip, visit }: Person, at: number) => {
  const [subject, encounter] = [{ reference: `Patient/p${at}` }, { reference: `Encounter/e${at}` }];
  return [
    {
      resourceType: "Patient",
      id: `p${at}`,
      birthDate,
      gender,
      address: [{ state: "MA", postalCode: zip, line: ["1 Main St"] }],
    },
    {
      resourceType: "Encounter",
      id: `e${at}`,
      status: "finished",
      class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
      subject,
      period: { start: visit, end: visit },
    },
    {
      resourceType: "Observation",
      id: `o${at}`,
      status: "final",
      code: { coding: [{ system: "http://loinc.org", code: "2345-7" }] },
      subject,
      encounter,
      effectiveDateTime: visit,
      valueQuantity: { value: at, unit: "mg/dL", system: "http://unitsofmeasure.org", code: "mg/dL" },
    },
  ];
};

interface Row {
  readonly id: string;
  readonly resourceType: string;
  readonly subject?: { readonly reference: string };
  readonly encounter?: { readonly reference: string };
  readonly birthDate?: string;
  readonly gender?: string;
  readonly address?: readonly { readonly postalCode?: string }[];
  readonly effectiveDateTime?: string;
  readonly valueQuantity?: { readonly value: number };
}
interface Page {
  readonly entry?: readonly { readonly resource: Row }[];
  readonly link: readonly { readonly relation: string; readonly url: string }[];
}

const recipients = ["first", "second"] as const;
type Who = (typeof recipients)[number];
let phylax: Door;
let ask: AskAs<Who>;
/** All rows that a recipient gets, by type. */
const got = new Map<Who, ReadonlyMap<string, readonly Row[]>>();

beforeAll(
  async () => {
    phylax = await startDoor({ resources: people.flatMap(rowsOf) });
    const { body } = starterPolicy("hresch-safe-harbor");
    const app = (policy: string) => ({ policy, purpose: "HRESCH", scopes: "system/*.rs" });
    ask = await outsideApps<Who>(phylax, { first: app("hresch-safe-harbor"), second: app("second") }, [
      starterPolicy("hresch-safe-harbor"),
      { name: "second", body: { ...body, name: "second", form: { ...body.form, dataSet: "second" } } },
    ]);
    for (const who of recipients) {
      const rows = new Map<string, readonly Row[]>();
      for (const type of ["Patient", "Encounter", "Observation"]) rows.set(type, await all(who, type));
      got.set(who, rows);
    }
  },
  60_000 + 60 * count,
);
afterAll(() => phylax.close());

async function all(who: Who, type: string): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (let path: string | undefined = `${type}?_count=200`; path !== undefined;) {
    const reply = await ask(who, path);
    if (reply.status !== 200) throw new Error(`${path}: ${reply.status} ${reply.text.slice(0, 200)}`);
    const page: Page = JSON.parse(reply.text);
    for (const { resource } of page.entry ?? []) rows.push(resource);
    const next = page.link.find(({ relation }) => relation === "next")?.url;
    path = next?.slice(next.indexOf("/main/") + "/main/".length);
  }
  return rows;
}
const rowsTo = (who: Who, type: string): readonly Row[] => got.get(who)?.get(type) ?? [];
const idsTo = (who: Who): ReadonlySet<string> =>
  new Set([...(got.get(who)?.values() ?? [])].flat().map(({ resourceType, id }) => `${resourceType}/${id}`));

test("two recipients of the same rows have no code in common, and each has every row once", () => {
  const [first, second] = [idsTo("first"), idsTo("second")];
  expect([first.size, second.size]).toEqual([3 * count, 3 * count]);
  const codes = new Set([...first].map((name) => name.slice(name.indexOf("/"))));
  expect(codes.size).toBe(3 * count);
  expect([...second].filter((name) => codes.has(name.slice(name.indexOf("/"))))).toEqual([]);
});

test("all references of a data set are intact: they lead to the rows of the same person", () => {
  for (const who of recipients) {
    const ids = idsTo(who);
    const patients = new Map(rowsTo(who, "Patient").map((row) => [`Patient/${row.id}`, row]));
    const encounters = new Map(rowsTo(who, "Encounter").map((row) => [`Encounter/${row.id}`, row]));
    const wrong = rowsTo(who, "Observation").filter(
      ({ subject, encounter, effectiveDateTime, valueQuantity }) => {
        const person = people[valueQuantity?.value ?? -1];
        const patient = patients.get(subject?.reference ?? "");
        const visit = encounters.get(encounter?.reference ?? "");
        return !(
          ids.has(subject?.reference ?? "") &&
          visit?.subject?.reference === subject?.reference &&
          patient?.gender === person?.gender &&
          [undefined, person?.birthDate.slice(0, 4)].includes(patient?.birthDate) &&
          effectiveDateTime === person?.visit.slice(0, 4)
        );
      },
    );
    expect(wrong).toEqual([]);
    expect(new Set(rowsTo(who, "Observation").map(({ subject }) => subject?.reference)).size).toBe(count);
  }
});

/** The people whose key only one person has. */
const alone = (keys: readonly string[]): number =>
  [...Map.groupBy(keys, (key) => key).values()].filter(({ length }) => length === 1).length;

test("a try to find a person by birth, ZIP Code, sex and dates finds each in the rows, and fewer in the form: the k-table counts whom", () => {
  const read = (rows: readonly Row[]) => rows.flatMap((row) => readLeftJson(JSON.stringify(row)) ?? []);
  const patients = rowsTo("first", "Patient");
  const table = likenessOf(read([...patients, ...rowsTo("first", "Observation")]));
  const years = likenessOf(read(patients));
  const aloneIn = (groups: typeof table) => groups.filter((group) => group.patients === 1).length;
  expect(table.reduce((sum, group) => sum + group.patients, 0)).toBe(count);
  const before = alone(
    people.map(({ birthDate, gender, zip, visit }) => [birthDate, gender, zip, visit].join()),
  );
  console.log(
    `${count} patients, of whom alone: ${before} in the rows, ${aloneIn(table)} in the form, ${aloneIn(years)} without the years of visits`,
  );
  expect(before / count).toBeGreaterThan(0.99);
  // The tries by hand: the same patients are alone.
  const visits = new Map(
    rowsTo("first", "Observation").map((row) => [row.subject?.reference, row.effectiveDateTime]),
  );
  const shown = patients.map(({ id, birthDate, gender, address }) =>
    [birthDate, gender, address?.[0]?.postalCode, visits.get(`Patient/${id}`)].join(" "),
  );
  expect(aloneIn(table)).toBe(alone(shown));
  // 85 years, two sexes, five areas and five years of visits are 4,250 groups.
  expect(aloneIn(table)).toBeLessThan(count < 10_000 ? before : count / 5);
  expect(aloneIn(years)).toBeLessThan(count < 10_000 ? before : count / 100);
  expect(shown.filter((text) => /^193[0-6] /u.test(text))).toEqual([]);
  expect(shown.some((text) => text.includes(" 000 "))).toBe(true);
});
