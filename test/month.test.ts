import * as fc from "fast-check";
import { describe, test } from "vitest";
import { momentOf, parties } from "../scripts/month/rota.ts";
import { type ClockStep, shiftedClock } from "../scripts/month/shifted-clock.ts";

describe("the clock of a made month", () => {
  const begin = Date.UTC(2026, 11, 3, 7);
  const hour = 3_600_000;
  const steps: readonly [ClockStep, ...ClockStep[]] = [
    { real: begin, shown: begin - 30 * hour },
    { real: begin + 2_000, shown: begin - 20 * hour },
    { real: begin + 4_000, shown: begin + 4_000 },
  ];
  const at = (real: number) => {
    class Machine extends Date {
      static override now = () => real;
    }
    return shiftedClock(Machine as DateConstructor, steps);
  };

  test("leaps at its steps, runs on at the usual speed between, and ends as the machine's own", ({
    expect,
  }) => {
    const shown = (real: number) => at(real).Date.now();
    expect([0, 1_999, 2_000, 3_500, 4_000, 9_999].map((later) => shown(begin + later) - begin)).toEqual([
      -30 * hour,
      -30 * hour + 1_999,
      -20 * hour,
      -20 * hour + 1_500,
      4_000,
      9_999,
    ]);
    expect(shown(0), "a worker that is loading has no time").toBe(0);
  });

  test("is the clock of each way to ask for the time, and changes no time that is given", ({ expect }) => {
    const { Date: Shown } = at(begin + 2_000);
    expect(new Shown().getTime()).toBe(begin - 20 * hour);
    expect(Shown()).toBe(new Date(begin - 20 * hour).toString());
    expect(new Shown(7).getTime()).toBe(7);
    expect(new Shown("2026-01-01").toISOString()).toBe("2026-01-01T00:00:00.000Z");
    expect([Shown.UTC(2026), Shown.parse("2026-01-01")]).toEqual([Date.UTC(2026), Date.parse("2026-01-01")]);
    expect(new Shown() instanceof Shown).toBe(true);
  });

  test("an alarm rings when the clock shows its time, or at the leap over its time", ({ expect }) => {
    const { realOf } = at(begin);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10_000 }), (later) => {
        expect(realOf(at(begin + later).Date.now())).toBe(begin + later);
      }),
    );
    expect(realOf(begin - 25 * hour)).toBe(begin + 2_000);
    expect(realOf(begin)).toBe(begin + 4_000);
    expect(realOf(begin - 40 * hour), "an alarm of the past rings at once").toBeLessThan(begin);
  });
});

test("clinics close at weekends and on holidays, wards have handovers, and claims run at night", ({
  expect,
}) => {
  const hourly = (client: string, time: string) =>
    parties.find((party) => party.client === client)?.hourly(momentOf(Date.parse(`${time}:00-05:00`))) ?? NaN;
  const noon = (day: string) => hourly("telehealth", `${day}T13:00`);
  const open = noon("2026-11-25");
  for (const closed of ["2026-11-26", "2026-11-28", "2026-12-25", "2027-01-01"])
    expect(noon(closed), closed).toBeLessThan(open / 5);
  expect(noon("2026-11-19"), "the third Thursday").toBe(open);
  expect(hourly("charting", "2026-11-25T15:15")).toBeGreaterThan(2 * hourly("charting", "2026-11-25T12:00"));
  expect(hourly("payer", "2026-11-25T03:00")).toBeGreaterThan(10);
  expect(hourly("payer", "2026-11-25T12:00")).toBe(0);
});
