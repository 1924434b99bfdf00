import { RowBarrier } from "#fhir/row-barrier";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { dice, plainTypes, randomResource } from "../random-resource.ts";
import { noSharedData, resourcesIn } from "../shared-data.ts";
import { instant } from "#kernel/clock";
import { isObject, readJson, type JsonObject } from "#fhir/json/json";
import { EntrySplitter } from "#fhir/json/entry-splitter";
import { isCut } from "#phi/bytes/entry-cutter";
import { Discloser } from "#phi/disclose";
import { Residences } from "#residence/row-residences";
import { decide, policy, rule } from "../../policy/granting.ts";
import {
  changesOf,
  comparePage,
  fuzzAnswer,
  fuzzBoundaries,
  fuzzIncluded,
  fuzzPage,
  includedTypes,
} from "./disclosing-twins.ts";
import { utf8 } from "./fuzzing.ts";
import { fuzzEverything, recordTypes } from "./listing-twins.ts";
import { bases } from "./twins.ts";

test("under random policies every entry and read of generated resources has the outcome of the plain engine, in every field", () => {
  fc.assert(
    fc.property(fc.constantFrom(...plainTypes), fc.integer(), (type, seed) => {
      const roll = dice(seed);
      fuzzAnswer(
        Array.from({ length: 3 }, () => randomResource(type, roll)),
        roll,
      );
    }),
    { numRuns: 8 },
  );
});

test("a value is that of the row before only if each byte of it is the same", () => {
  const text = JSON.stringify(usualObservation, (_, value: unknown) =>
    typeof value === "object" && value !== null && "rawJSON" in value ? Number(value.rawJSON) : value,
  );
  // Each change among rows that repeat the row before.
  const texts = changesOf(text).flatMap((changed) => [text, text, changed, changed]);
  const some = ["status", "performer.reference", "subject", "code.coding"];
  for (const show of ["everything", some] as const)
    expect(comparePage("Observation", show, texts)).toBeGreaterThan(100);
});

test("a reference to a contained resource leaves only with that resource, whatever the rows before had", () => {
  const performer = '"performer":[{"reference":"#p1","display":"the one inside"}]';
  const contained =
    '"contained":[{"resourceType":"Observation","id":"p1","status":"final","code":{"text":"x"}}]';
  const texts = [
    [contained, performer],
    [contained, performer],
    [performer],
    [performer],
    [performer, contained],
    [contained, performer],
    [contained.replace("p1", "p2"), performer],
    [contained],
  ].map(
    (members) =>
      `{"resourceType":"Observation","id":"1","status":"final","code":{"text":"y"},"subject":{"reference":"Patient/1"},${members.join()}}`,
  );
  for (const show of ["everything", ["performer", "contained"]] as const) {
    // All but the row whose reference stands before the resource.
    expect(comparePage("Observation", typeof show === "string" ? show : [...show], texts)).toBe(
      texts.length - 1,
    );
  }
});

test("an inline label is seen in every row that repeats it", () => {
  const label = "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";
  const row = (note: string, url: string) =>
    `{"resourceType":"Observation","id":"1","status":"final","code":{"text":"y"},"subject":{"reference":"Patient/1"},` +
    `"valueQuantity":{"unit":"${note}","extension":[{"url":"${url}","valueString":"x"}]},"extension":[{"url":"${url}"}]}`;
  const usual = "http://example.org/an-extension";
  const texts = [usual, label, label, usual, label].flatMap((url) => [row("a", url), row("b", url)]);
  for (const show of ["everything", ["status"], ["valueQuantity.unit"]] as const)
    expect(comparePage("Observation", typeof show === "string" ? show : [...show], texts)).toBe(4);
});

test("rows that repeat values of the row before have the outcome of the plain engine, in every field", () => {
  let rows = 0;
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const roll = dice(seed);
      for (let page = 0; page < 10; page += 1) rows += fuzzPage([usualObservation], roll, 16);
    }),
    { numRuns: 3 },
  );
  expect(rows).toBeGreaterThan(60); // the byte engine read them
});

test("the rows of a page have the outcome of the plain engine wherever its chunks end, at every byte", () => {
  let rows = 0;
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      rows += fuzzBoundaries([usualObservation], dice(seed));
    }),
    { numRuns: 1 },
  );
  expect(rows).toBeGreaterThan(1_000); // the byte engine read them
});

test("an included resource has the outcome of the plain engine, by each reference that may lead to it", () => {
  const sums = new Map<string, number>();
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const roll = dice(seed);
      const made = [...includedTypes, ...includedTypes].map((type) => randomResource(type, roll));
      for (let page = 0; page < 8; page += 1)
        for (const [outcome, count] of fuzzIncluded([usualObservation, ...made], roll))
          sums.set(outcome, (sums.get(outcome) ?? 0) + count);
    }),
    { numRuns: 4 },
  );
  for (const outcome of ["include", "dropped", "match", "hidden"])
    expect(sums.get(outcome)).toBeGreaterThan(0);
  expect(sums.get("ahead")).toBeGreaterThan(13); // the byte engine read them
});

test("a page of everything is the page of the plain engine", () => {
  let read = 0;
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const roll = dice(seed);
      const made = [...recordTypes, ...recordTypes].map((type) => randomResource(type, roll));
      for (let page = 0; page < 8; page += 1)
        read += fuzzEverything([usualObservation, usualObservation, ...made], roll);
    }),
    { numRuns: 3 },
  );
  expect(read).toBeGreaterThan(13); // the byte engine read them
});

test.skipIf(noSharedData)(
  "under random policies every entry and read of real resources has the outcome of the plain engine (needs ../shared/data)",
  () => {
    const real = resourcesIn("examples-r4", "us-core").filter((one) => JSON.stringify(one).length < 20_000);
    const sums = new Map<string, number>();
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const roll = dice(seed);
        for (let answer = 0; answer < 10; answer += 1)
          for (const [outcome, count] of fuzzAnswer(real, roll))
            sums.set(outcome, (sums.get(outcome) ?? 0) + count);
        fuzzPage(real, roll);
      }),
      { numRuns: 4 },
    );
    // not only refusals were compared
    expect((sums.get("match") ?? 0) + (sums.get("released") ?? 0)).toBeGreaterThan(0);
    expect(sums.get("hidden")).toBeGreaterThan(0);
  },
);

const coded = (system: string, code: string, display: string) => ({
  coding: [{ system, code, display }],
  text: display,
});

/** A row of a laboratory, as servers send it. */
const usualObservation = readObject({
  resourceType: "Observation",
  id: "1",
  meta: {
    versionId: "1",
    lastUpdated: "2026-10-31T23:00:00Z",
    profile: ["http://example.org/StructureDefinition/laboratory-result"],
    security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "N" }],
  },
  identifier: [
    { system: "urn:mrn", value: "a-long-number-1" },
    { type: { text: "Filler order" }, system: "urn:x", value: "another-number-2" },
  ],
  basedOn: [{ reference: "ServiceRequest/order-0001" }],
  status: "final",
  category: [coded("http://terminology.hl7.org/CodeSystem/observation-category", "laboratory", "Laboratory")],
  code: coded("http://loinc.org", "6690-2", "Leukocytes [#/volume] in Blood by Automated count"),
  subject: { reference: "Patient/1", display: "A. Person" },
  encounter: { reference: "Encounter/4e1208f3-f996-4b0a" },
  performer: [{ reference: "Practitioner/vera-00000000" }, { reference: "Patient/1" }],
  effectiveDateTime: "2013-08-15T13:01:46+00:00",
  valueQuantity: { value: 7.195, unit: "10*3/uL", system: "http://unitsofmeasure.org", code: "10*3/uL" },
  interpretation: [
    coded("http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation", "N", "Normal"),
  ],
  note: [{ authorReference: { reference: "Practitioner/vera-00000000" }, text: "drawn at noon, as ordered" }],
  extension: [{ url: "urn:x", valueUri: "urn:oid:2.16.840.1.113883" }],
});

/** With numbers as the plain engine has them. */
function readObject(value: object): JsonObject {
  const read = readJson(utf8(JSON.stringify(value)));
  if (!read.ok || !isObject(read.value)) throw new Error("a test's own mistake");
  return read.value;
}

const observation = (id: string, more = "") =>
  `{"fullUrl":"http://origin.internal:8080/fhir/Observation/${id}","resource":{"resourceType":"Observation","id":"${id}",` +
  `"meta":{"versionId":"1"},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1"}${more}},` +
  `"search":{"mode":"match"}}`;

/** The keys of the entries that are read ahead, by their bytes alone, and the texts of all entries. */
function readAhead(parts: readonly Uint8Array[], part: "row" | "key") {
  const grant = decide(policy(rule(["Observation"], ["status", "subject"])), "Observation?_count=1000");
  if ("reason" in grant) throw new Error(grant.reason);
  const residences = new Residences(instant(0));
  const discloser = new Discloser(grant, { ...bases, name: "main", residences, barrier: new RowBarrier() });
  const splitter = new EntrySplitter();
  const keys: string[] = [];
  const texts: string[] = [];
  const ahead = discloser.ahead("Observation", () => part);
  for (const chunk of parts) {
    const read = splitter.read(
      chunk,
      (bytes) => {
        if (isCut(bytes)) keys.push(bytes.id);
        if (isCut(bytes) && bytes.kind === "key") return undefined;
        const entry = discloser.entry(bytes, "Observation");
        if (entry.ok && entry.value.kind === "match")
          texts.push(new TextDecoder().decode(entry.value.released.text));
        return undefined;
      },
      ahead,
    );
    if (!read.ok) throw new Error(read.error.reason);
  }
  return { keys, texts };
}

test("an address is read whole where a search decides by it, and by its state alone where none does", () => {
  const home = { use: "home", city: "Boston", state: "MA", period: { start: "2020" } };
  for (const [query, kinds] of [
    ["_count=10", ["match", "match"]],
    ["address-city=boston&_count=10", ["match", "hidden"]],
  ] as const) {
    const grant = decide(policy(rule(["Patient"], ["address"])), `Patient?${query}`);
    if ("reason" in grant) throw new Error(grant.reason);
    const residences = new Residences(instant(Date.parse("2026-01-01")));
    const discloser = new Discloser(grant, { ...bases, name: "main", residences, barrier: new RowBarrier() });
    const found = [home, { ...home, city: "Salem" }].map((address, index) => {
      const resource = { resourceType: "Patient", id: `p${index}`, address: [address] };
      const entry = discloser.entry(utf8(JSON.stringify({ resource, search: { mode: "match" } })), "Patient");
      return entry.ok ? entry.value.kind : entry.error.reason;
    });
    expect(found).toEqual(kinds);
    expect([residences.of("p0"), residences.of("p1")]).toEqual(["MA", "MA"]);
  }
});

test("usual entries are read ahead by the byte engine, what is unusual is left to the plain engine", () => {
  const page = (entries: readonly string[]) =>
    utf8(`{"resourceType":"Bundle","type":"searchset","entry":[${entries.join()}]}`);
  const usual = [observation("1"), observation("2", ',"valueQuantity":{"value":1.50}'), observation("3")];
  const { keys, texts } = readAhead([page(usual)], "row");
  expect(keys).toEqual(["1", "2", "3"]);
  expect(texts).toHaveLength(3);
  expect(readAhead([page(usual)], "key")).toEqual({ keys, texts: [] });
  const unusual = [
    observation("1"),
    observation("2", ',"contained":[]'),
    observation("3", ',"note":1,"note":2'),
  ];
  const left = readAhead([page(unusual)], "row");
  expect(left.keys).toEqual(["1", "2"]);
  expect(left.texts).toEqual(texts.slice(0, 2));
});

test("the URL of an attachment is sealed for its row, in each row of a page, and in no contained resource", () => {
  const attached = (id: string, more = "") =>
    `{"resource":{"resourceType":"DocumentReference","id":"${id}","status":"current","content":[{"attachment":{"url":"Binary/one"}}],` +
    `"context":{"encounter":[{"reference":"Encounter/1"}]}${more}},"search":{"mode":"match"}}`;
  const inside = `,"contained":[{"resourceType":"DocumentReference","id":"c","content":[{"attachment":{"url":"Binary/one"}}]}],"relatesTo":[{"target":{"reference":"#c"}}]`;
  const late = `{"resource":{"resourceType":"DocumentReference","content":[{"attachment":{"url":"Binary/one"}}],"id":"late"},"search":{"mode":"match"}}`;
  const grant = decide(policy(rule(["DocumentReference"], "everything")), "DocumentReference?_count=1000");
  if ("reason" in grant) throw new Error(grant.reason);
  for (const engine of ["bytes", "plain"] as const) {
    const named = {
      ...bases,
      name: "main",
      residences: new Residences(instant(0)),
      barrier: new RowBarrier(),
    };
    const discloser = new Discloser(grant, named, [], engine);
    const urlsOf = (entry: string) => {
      const cut = discloser.entry(utf8(entry), "DocumentReference");
      if (!cut.ok || cut.value.kind !== "match") throw new Error(entry);
      return [...new TextDecoder().decode(cut.value.released.text).matchAll(/"url":"([^"]*)"/gu)].map(
        ([, url]) => url,
      );
    };
    for (const id of ["a", "b", "late"])
      expect(urlsOf(id === "late" ? late : attached(id)), engine).toEqual([
        `Binary/link-of-DocumentReference/${id}-to-10`,
      ]);
    expect(urlsOf(attached("c", inside)), engine).toEqual([
      "Binary/link-of-DocumentReference/c-to-10",
      "Binary/one",
    ]);
    // URLs of a storage: the row has a link for the first, and none for the second
    const stored = (url: string) =>
      urlsOf(attached("c", inside).replaceAll("Binary/one", url)).filter((each) =>
        each?.startsWith("Binary"),
      );
    expect(stored("Binary/three"), engine).toEqual(["Binary/link-of-DocumentReference/c-to-12"]);
    expect(stored("Binary/on"), engine).toEqual([]);
  }
});

test("an entry has the same text wherever the chunks of its page end", () => {
  const page = utf8(
    `{"entry":[${[observation("1", ',"note":[{"text":"caf\u00e9 \\"q\\""}]'), observation("2")].join(" , ")} ]}`,
  );
  const whole = readAhead([page], "row").texts;
  expect(whole).toHaveLength(2);
  for (let at = 0; at <= page.length; at += 1)
    expect(readAhead([page.subarray(0, at), page.subarray(at)], "row").texts).toEqual(whole);
});
