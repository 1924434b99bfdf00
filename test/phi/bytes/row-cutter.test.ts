import * as fc from "fast-check";
import { expect, test } from "vitest";
import { dice, plainTypes, randomResource } from "../random-resource.ts";
import { noSharedData, resourcesIn } from "../shared-data.ts";
import { instant } from "#kernel/clock";
import { EntrySplitter } from "#fhir/json/entry-splitter";
import { Discloser } from "#phi/disclose";
import { Residences } from "#residence/row-residences";
import { decide, policy, rule } from "../../policy/granting.ts";
import { fuzzAnswer } from "./disclosing-twins.ts";
import { utf8 } from "./fuzzing.ts";
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
      }),
      { numRuns: 4 },
    );
    // not only refusals were compared
    expect((sums.get("match") ?? 0) + (sums.get("released") ?? 0)).toBeGreaterThan(0);
    expect(sums.get("hidden")).toBeGreaterThan(0);
  },
);

const observation = (id: string, more = "") =>
  `{"fullUrl":"http://origin.internal:8080/fhir/Observation/${id}","resource":{"resourceType":"Observation","id":"${id}",` +
  `"meta":{"versionId":"1"},"status":"final","code":{"text":"x"},"subject":{"reference":"Patient/1"}${more}},` +
  `"search":{"mode":"match"}}`;

/** The keys of the entries that are read ahead, by their bytes alone, and the texts of all entries. */
function readAhead(parts: readonly Uint8Array[], part: "row" | "key") {
  const grant = decide(policy(rule(["Observation"], ["status", "subject"])), "Observation?_count=1000");
  if ("reason" in grant) throw new Error(grant.reason);
  const residences = new Residences(instant(0));
  const discloser = new Discloser(grant, { ...bases, name: "main", residences });
  const splitter = new EntrySplitter();
  const keys: string[] = [];
  const texts: string[] = [];
  const ahead = discloser.ahead("Observation", () => part);
  for (const chunk of parts) {
    const read = splitter.read(
      chunk,
      (bytes) => {
        const key = discloser.keyAhead(bytes);
        if (key !== undefined) keys.push(key);
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

test("usual entries are read ahead by the byte engine, what is unusual is left to the plain engine", () => {
  const page = (entries: readonly string[]) =>
    utf8(`{"resourceType":"Bundle","type":"searchset","entry":[${entries.join()}]}`);
  const usual = [observation("1"), observation("2", ',"valueQuantity":{"value":1.50}'), observation("3")];
  const { keys, texts } = readAhead([page(usual)], "row");
  expect(keys).toEqual(["1", "2", "3"]);
  expect(texts).toHaveLength(3);
  expect(readAhead([page(usual)], "key")).toEqual({ keys, texts });
  const unusual = [
    observation("1"),
    observation("2", ',"contained":[]'),
    observation("3", ',"note":1,"note":2'),
  ];
  const left = readAhead([page(unusual)], "row");
  expect(left.keys).toEqual(["1", "2"]);
  expect(left.texts).toEqual(texts.slice(0, 2));
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
