import { expect, test } from "vitest";
import * as fc from "fast-check";
import { utf8 } from "#kernel/encoded";
import { dateClass } from "#phi/bytes/date-class";
import { liesInside, spanOf, SpanBounds, type TimeSpan } from "#policy/consent/time-span";

const two = (most: number, least = 0) =>
  fc.integer({ min: least, max: most }).map((number) => String(number).padStart(2, "0"));
const year = fc.integer({ min: 1895, max: 2205 }).map(String);
const near = fc.constantFrom("2020", "2021", "2024");
const zone = fc.oneof(
  fc.constantFrom("Z", "+14:00", "-12:00", "+15:00", "z", "", "+1:00"),
  fc
    .tuple(fc.constantFrom("+", "-"), two(25), two(60))
    .map(([sign, hour, minute]) => `${sign}${hour}:${minute}`),
);
const fraction = fc.constantFrom("", ".1", ".123456789", ".1234567890", ".");
const day = fc.tuple(fc.oneof(near, year), two(13), two(32)).map((parts) => parts.join("-"));
const time = fc.tuple(two(24), two(60), two(60), fraction, zone);
const date = fc.oneof(
  day,
  fc.tuple(day, time).map(([on, [h, m, s, part, where]]) => `${on}T${h}:${m}:${s}${part}${where}`),
  fc.tuple(day, time).map(([on, [h, m]]) => `${on}T${h}:${m}`),
  fc.tuple(near, two(12, 1)).map((parts) => parts.join("-")),
  near,
);
const period = fc
  .record({ start: fc.oneof(day, date), end: fc.oneof(day, date) }, { requiredKeys: [] })
  .map((bounds) => spanOf(bounds))
  .filter((span) => span !== null);
const relationsOf = (span: TimeSpan, periods: readonly TimeSpan[]) =>
  periods.map((each) => liesInside(span, each)).join();

test("times of one class lie alike in each span, and a text of a class is a date for the plain engine too", () => {
  const known = { classes: 0, shared: 0 };
  fc.assert(
    fc.property(
      fc.array(period, { maxLength: 4 }),
      fc.array(date, { minLength: 1, maxLength: 12 }),
      (periods, dates) => {
        const bounds = new SpanBounds(periods);
        const answers = new Map<number, string>();
        for (const text of dates) {
          const bytes = utf8(` ${JSON.stringify(text)} `);
          const byBytes = dateClass(bounds, bytes, 1, bytes.length - 1);
          const span = spanOf(text);
          if (byBytes >= 0) expect(span, text).not.toBeNull();
          if (span === null) continue;
          for (const found of [byBytes, bounds.classOf(span)]) {
            if (found < 0) continue;
            known.classes += 1;
            if (answers.has(found)) known.shared += 1;
            const answer = relationsOf(span, periods);
            expect(answers.get(found) ?? answer, `${text} of class ${found}`).toBe(answer);
            answers.set(found, answer);
          }
        }
      },
    ),
    { numRuns: 2_000, seed: 290_701 },
  );
  expect(known.classes).toBeGreaterThan(2_000);
  expect(known.shared).toBeGreaterThan(500);
});

test("a text with an escape, a bound that is near and the last day of a month that is none have no class", () => {
  const bounds = new SpanBounds(
    [spanOf({ start: "2020-03-01", end: "2020-12-31" })].flatMap((span) => span ?? []),
  );
  const classOf = (json: string) => dateClass(bounds, utf8(json), 0, json.length);
  for (const json of [
    '"2020-03-01"',
    '"2020-02-29"',
    '"2021-01-01"',
    '"2021-02-29"',
    '"2021\\u002d05-05"',
    "20210505",
    "null",
    '""',
  ])
    expect(classOf(json), json).toBe(-1);
  expect(classOf('"2020-02-20"')).toBeGreaterThanOrEqual(0);
  expect(classOf('"2020-06-06"')).toBe(classOf('"2020-07-07"'));
  expect(classOf('"2020-06-06"'), "the zone is known").not.toBe(classOf('"2020-06-06T10:00:00Z"'));
});
