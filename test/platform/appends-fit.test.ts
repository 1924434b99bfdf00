import * as fc from "fast-check";
import { test } from "vitest";
import { inAppends, withFittingPaths } from "#audit/append-size";
import type { AuditEvent } from "#audit/event";
import { instant } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { patientsMax } from "#phi/disclosure";
import { stateBytesMax } from "#residence/residence";
import { draftAppend } from "#platform/ledger/object/append/draft";
import { leafBytesOf } from "#platform/ledger/object/append/batch";
import { LogDefinitions } from "#platform/ledger/object/append/definitions";
import { withNames } from "#platform/ledger/client/definitions";
import { inLane } from "../support/lane.ts";

const key = new Secret(new Uint8Array(32));
const long = (prefix: string, length: number) => prefix.padEnd(length, "x");
const paths = (many: number) => Array.from({ length: many }, (_, n) => long(`path${n}`, 60));
const lists = [paths(0), paths(10), paths(1_000)];

interface Size {
  readonly kind: string;
  readonly names: number;
  readonly asked: number;
  readonly query: number;
  readonly list: number;
  readonly hidden: boolean;
}

const eventOf = ({ kind, names, asked, query, list, hidden }: Size, step: number): AuditEvent => {
  const nameOf = (n: number) => `${long("origin", 32)}/Patient/${long(String(n), 64)}`;
  const patients = Array.from({ length: names }, (_, n) => nameOf(n));
  return {
    id: "0".repeat(32),
    at: instant(1_800_000_000_000),
    step,
    kind,
    who: { client: long("client", 64) },
    what: { interaction: "batch", origin: long("origin", 32), path: long("q", query) },
    why: { purposes: ["HPAYMT"], agreement: long("agreement", 64) },
    patients: patients.map((patient) => ({
      patient,
      counts: { ExplanationOfBenefit: 1 },
      state: long("s", stateBytesMax),
    })),
    unnamed: [],
    counts: {},
    withheld: { paths: lists[list] ?? [] },
    asked: Array.from({ length: asked }, (_, n) => nameOf(n)),
    reserve: {
      names: 8,
      unseen: hidden ? patients : [],
      counts: { ExplanationOfBenefit: 1 },
      unnamed: [],
    },
  };
};

const events = fc
  .array(
    fc.record({
      kind: fc.constantFrom("intent", "write", "disclosure", "refusal"),
      names: fc.oneof(fc.constantFrom(0, 1, 500, 2_500, patientsMax), fc.integer({ min: 0, max: 40 })),
      asked: fc.constantFrom(0, 0, 100),
      query: fc.constantFrom(0, 0, 8_000),
      list: fc.constantFrom(0, 0, 1, 2),
      hidden: fc.boolean(),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((made) => made.map(eventOf).map(withFittingPaths));

/** As many names of the longest form as a request may have. */
const largest = { kind: "intent", names: patientsMax, asked: 100, query: 8_000, list: 2, hidden: true };

test("each append of a request fits a frame with the definitions that its log may lack, and no event is lost", ({
  expect,
}) => {
  fc.assert(
    fc.property(events, (all) => {
      const appends = inAppends(all);
      expect(appends.flat()).toEqual(all);
      for (const append of appends) {
        const { events: named, definitions } = withNames(append);
        const draft = draftAppend(named, key);
        const contents = Array.from(definitions.values(), ({ content }) => content);
        const found = new LogDefinitions().find(
          [...definitions.keys()],
          contents,
          instant(1_800_000_000_000),
        );
        leafBytesOf({ draft, definitions: found ?? [] }); // throws when no frame holds them
      }
      // few appends: two neighbours never fit together
      for (const [index, append] of appends.entries()) {
        const [next] = appends[index + 1] ?? [];
        if (next !== undefined) expect(inAppends([...append, next]).length).toBe(2);
      }
    }),
    {
      numRuns: inLane({ fast: 12, slow: 60, long: 2_000 }),
      examples: [[[withFittingPaths(eventOf(largest, 0))]]],
    },
  );
});

test("beside the most names of the longest form a record names the first withheld paths alone, and else all", ({
  expect,
}) => {
  const pathsOf = (size: Size) => withFittingPaths(eventOf(size, 0)).withheld?.paths;
  expect(pathsOf(largest)).toEqual(lists[2]?.slice(0, 250));
  expect(pathsOf({ ...largest, hidden: false })).toEqual(lists[2]?.slice(0, 250)); // no row decides it
  expect(pathsOf({ ...largest, names: 2_500 })).toBe(lists[2]);
});
