import { expect, test } from "vitest";
import type { Codes } from "#deid/codes";
import { cutInForm } from "#deid/bytes/cut-answer";
import { searchParametersOf } from "#fhir/search/parameters";
import type { ShownAnswer } from "#deid/form-answer";
import { findIdentifiers } from "#deid-check/check";
import { readLeftJson } from "#deid-check/read-json";
import { ok } from "#kernel/result";
import type { DeidForm } from "#policy/form/fates";

const base = "https://gateway.example/v1/fhir/main";

/** Codes that grow with the order of their making, and the names that were asked for, call by call. */
function codeBook() {
  const asked: (readonly string[])[] = [];
  const made = new Map<string, string>();
  const codes: Codes = {
    codesOf: async (names) => {
      asked.push(names);
      for (const name of names)
        made.set(name, made.get(name) ?? (9_999 - made.size).toString(16).padStart(32, "0"));
      return ok(new Map(names.map((name) => [name, made.get(name) ?? ""])));
    },
    namesOf: async () => ok(new Map()),
  };
  return { asked, made, codes };
}

const answerOf = (body: object, more: Partial<ShownAnswer> = {}): ShownAnswer => ({
  body: new TextEncoder().encode(JSON.stringify(body)),
  form: "safe-harbor",
  year: 2026,
  base,
  sort: [],
  isChosen: false,
  ...more,
});

async function left(body: object, more: Partial<ShownAnswer> = {}, book = codeBook()) {
  const answered = await cutInForm(answerOf(body, more), book.codes);
  return answered.ok ? JSON.parse(new TextDecoder().decode(answered.value)) : answered.error.reason;
}

const patient = (id: string, more: object = {}) => ({
  resourceType: "Patient",
  id,
  meta: { versionId: "7", lastUpdated: "2026-03-04T05:06:07Z" },
  identifier: [{ system: "urn:mrn", value: `MRN-${id}` }],
  name: [{ family: "Okafor", given: ["Amara"] }],
  gender: "female",
  birthDate: "1984-03-02",
  ...more,
});
const result = (id: string, of: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "4548-4", display: "HbA1c of Amara" }] },
  subject: { reference: `Patient/${of}`, display: "Amara Okafor" },
  ...more,
});
const entry = (resource: { resourceType: string; id: string }, mode = "match") => ({
  fullUrl: `${base}/${resource.resourceType}/${resource.id}`,
  resource,
  search: { mode, score: 0.7 },
});
const list = (...entry: object[]) => ({
  resourceType: "Bundle",
  type: "searchset",
  total: 41,
  link: [
    { relation: "self", url: `${base}/Observation?code=x` },
    { relation: "next", url: `${base}/Observation?_page=sealed` },
  ],
  entry,
});

test("a page asks for the codes of all its rows and references at once, and no id or name of the origin leaves", async () => {
  const book = codeBook();
  const page = await left(
    list(
      entry(result("o-1", "p-1")),
      entry(result("o-2", "p-1", { hasMember: [{ reference: "Observation/o-9" }] })),
      entry(patient("p-1"), "include"),
    ),
    {},
    book,
  );
  expect(book.asked).toEqual([["Observation/o-1", "Patient/p-1", "Observation/o-2", "Observation/o-9"]]);
  expect(JSON.stringify(page)).not.toMatch(
    /o-1|o-2|o-9|p-1|Okafor|Amara|MRN|2026-03|1984-|score|total|versionId/u,
  );
  for (const { fullUrl, resource } of page.entry)
    expect(fullUrl).toBe(`${base}/${resource.resourceType}/${resource.id}`);
  const [, , shared] = page.entry;
  expect(shared.resource).toMatchObject({
    gender: "female",
    birthDate: "1984",
    id: book.made.get("Patient/p-1"),
  });
  expect(page.entry[0].resource.subject).toEqual({ reference: `Patient/${shared.resource.id}` });
  expect(page.link).toEqual(list().link);
});

test("each resource says that it is a part, whatever the policy shows", async () => {
  const page = await left(patient("p-1"));
  expect(page.meta.tag).toEqual([
    { system: "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", code: "SUBSETTED" },
  ]);
});

test("the codes are the order of a page, unless an order was asked for", async () => {
  const rows = [entry(result("a", "p")), entry(result("b", "p")), entry(result("c", "p"))];
  const codesOf = (page: { entry: { resource: { id: string } }[] }) =>
    page.entry.map(({ resource }) => resource.id);
  const plain = codesOf(await left(list(...rows)));
  expect(plain).toEqual([...plain].sort());
  const other = codesOf(await left(list(...rows.toReversed())));
  expect(other).toEqual([...other].sort());
});

test("a sorted page has the order of its values, and rows with the same values the order of their codes", async () => {
  const definition = searchParametersOf("Observation").get("date");
  if (definition === undefined) throw new Error("no parameter");
  const sorted = async (days: readonly string[], descending: boolean) => {
    const rows = days.map((day, at) => entry(result(`r-${at}`, "p", { effectiveDateTime: day })));
    const more = { form: "limited-data-set", sort: [{ definition, descending }] } as const;
    const page = await left(list(...rows), more);
    return page.entry.map(
      ({ resource }: { resource: { id: string; effectiveDateTime: string } }) => resource,
    );
  };
  const days = ["2020-02-01", "2020-03-01", "2020-02-01", "2020-03-01", "2020-02-01", "2020-02-01"];
  const ofTime = await sorted(days, false);
  const early = ofTime.slice(0, 4);
  expect(early.map((row: { effectiveDateTime: string }) => row.effectiveDateTime)).toEqual(
    Array.from({ length: 4 }, () => "2020-02-01"),
  );
  const ids = early.map(({ id }: { id: string }) => id);
  expect(ids).toEqual(ids.toSorted());
  expect((await sorted(days, true))[0].effectiveDateTime).toBe("2020-03-01");
});

test("rows that a question names leave on one page, or no row leaves", async () => {
  const page = list(entry(result("a", "p")), entry(result("b", "p")));
  expect(await left(page, { isChosen: true })).toBe("part_of_named_rows");
  const whole = { ...page, link: page.link.slice(0, 1) };
  expect((await left(whole, { isChosen: true })).entry).toHaveLength(2);
});

test("a withheld row takes along what is included for it alone", async () => {
  const unread = { modifierExtension: [{ url: "urn:x", valueBoolean: true }] };
  const hidden = await left(
    list(entry(result("a", "p-1")), entry(result("b", "p-2", unread)), entry(patient("p-2"), "include")),
  );
  const absent = await left(list(entry(result("a", "p-1"))));
  expect(hidden).toEqual(absent);
  expect(await left(result("b", "p-2", unread))).toBe("withheld_by_form");
});

test("what is included by a reference that does not leave stays back, and each further row to which a row leads leaves", async () => {
  const stays = entry({ resourceType: "Practitioner", id: "x" }, "include");
  const refers = { note: [{ authorReference: { reference: "Practitioner/x" } }] };
  expect((await left(list(entry(result("a", "p", refers)), stays))).entry).toHaveLength(1);
  const chain = await left(
    list(
      entry(result("a", "p", { encounter: { reference: "Encounter/e" } })),
      entry({ resourceType: "Location", id: "l", status: "active" } as never, "include"),
      entry(
        {
          resourceType: "Encounter",
          id: "e",
          status: "finished",
          class: { system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code: "AMB" },
          location: [{ location: { reference: "Location/l" } }],
        } as never,
        "include",
      ),
    ),
  );
  expect(chain.entry).toHaveLength(3);
});

test("two pages whose rows differ in what a form removes are equal in each byte", async () => {
  const world = (more: object, observed: object) =>
    list(entry(patient("p", more)), entry(result("o", "p", observed), "include"));
  const one = world(
    {
      birthDate: "1950-01-01",
      telecom: [{ value: "1" }],
      address: [{ line: ["1 Main St"], city: "Boston", state: "MA", postalCode: "02115" }],
    },
    { effectiveDateTime: "2020-01-01", note: [{ text: "a" }], issued: "2020-01-02T00:00:00Z" },
  );
  const other = world(
    {
      birthDate: "1950-12-31",
      name: [{ text: "B" }],
      photo: [],
      address: [
        {
          line: ["9 Elm St"],
          city: "Salem",
          district: "Essex",
          state: "Massachusetts",
          postalCode: "02199-1234",
        },
      ],
    },
    {
      effectiveDateTime: "2020-11-11T09:00:00Z",
      code: {
        coding: [
          { system: "http://loinc.org", code: "4548-4" },
          { system: "urn:local", code: "J-SMITH" },
        ],
        text: "b",
      },
    },
  );
  const texts = await Promise.all([one, other].map(async (page) => JSON.stringify(await left(page))));
  expect(texts[0]).toBe(texts[1]);
});

test("what leaves has no identifier that the checker knows, in each form", async () => {
  for (const form of ["safe-harbor", "limited-data-set"] satisfies DeidForm[]) {
    const book = codeBook();
    const answered = await cutInForm(
      answerOf(list(entry(patient("p-1")), entry(result("o", "p-1"))), { form }),
      book.codes,
    );
    const text = answered.ok ? new TextDecoder().decode(answered.value) : "";
    for (const { resource } of JSON.parse(text).entry) {
      const read = readLeftJson(JSON.stringify(resource));
      expect(read && findIdentifiers(read, form, 2026)).toEqual([]);
    }
  }
});

test("an old death stays a death, and a modifier that does not leave is masked", async () => {
  expect(await left(patient("p", { deceasedDateTime: "1930-01-01" }))).toMatchObject({
    deceasedBoolean: true,
  });
  const masked = {
    extension: [{ url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: "masked" }],
  };
  const doubted = {
    resourceType: "Condition",
    id: "c",
    subject: { reference: "Patient/p" },
    verificationStatus: { coding: [{ system: "urn:local", code: "wrong-patient" }] },
  };
  expect(await left(doubted)).toMatchObject({ verificationStatus: masked });
});

test("a row without a code lets nothing leave", async () => {
  const none: Codes = { codesOf: async () => ok(new Map()), namesOf: async () => ok(new Map()) };
  await expect(cutInForm(answerOf(patient("p")), none)).rejects.toThrow("a row without a code");
});
