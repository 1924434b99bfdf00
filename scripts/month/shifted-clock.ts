import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { WorkerBundles, WorkerName } from "../../sandbox/runtime/worker-bundles.ts";

/** A time from which the shifted clock goes on at the usual speed, until the next step. In milliseconds since 1970. */
export interface ClockStep {
  /** By the machine's clock. */
  readonly real: number;
  /** By the shifted clock. */
  readonly shown: number;
}

/** The steps in order. The shifted clock of the last step is the machine's own. */
export type ClockSteps = readonly [ClockStep, ...ClockStep[]];

/** The clock that each process of the sandbox shows: a function of the machine's clock alone, so that all agree. */
interface ShiftedClock {
  readonly Date: DateConstructor;
  /** The machine's time of a shown time. A time that a step leaps over is the time of the leap. */
  readonly realOf: (shown: number) => number;
}

/** This function's text also runs in the workers, so it names nothing from outside of itself. */
export function shiftedClock(Machine: DateConstructor, steps: ClockSteps): ShiftedClock {
  const lastOf = (reached: (step: ClockStep) => boolean) => steps.findLast(reached) ?? steps[0];
  const now = () => {
    const real = Machine.now();
    if (real === 0) return 0; // a worker that is loading has no time
    const step = lastOf((each) => each.real <= real);
    return step.shown + real - step.real;
  };
  return {
    Date: new Proxy(Machine, {
      construct: (_, args, target: Function) =>
        Reflect.construct(Machine, args.length === 0 ? [now()] : args, target) as Date,
      apply: () => new Machine(now()).toString(),
      get: (_, key) => (key === "now" ? now : (Reflect.get(Machine, key) as unknown)),
    }),
    realOf(shown) {
      const step = lastOf((each) => each.shown <= shown);
      const next = steps[steps.indexOf(step) + 1];
      return Math.min(step.real + shown - step.shown, next?.real ?? Number.MAX_SAFE_INTEGER);
    },
  };
}

/** Shows the shifted clock in this process, and returns the machine's clock. */
export function shiftOwnClock(steps: ClockSteps): DateConstructor {
  const machine = Date;
  globalThis.Date = shiftedClock(machine, steps).Date;
  return machine;
}

/**
 * Copies of built workers that show the shifted clock. The runtime rings alarms by the machine's clock, so each alarm is
 * set for the machine's time.
 */
export function withShiftedClock(bundles: WorkerBundles, steps: ClockSteps): WorkerBundles {
  const head = `
    const phylaxMachine = Date;
    const phylaxClock = (${shiftedClock.toString()})(Date, ${JSON.stringify(steps)});
    globalThis.Date = phylaxClock.Date;
    Object.defineProperty(Object.prototype, "setShiftedAlarm", {
      value(at) { return this.setAlarm(phylaxClock.realOf(Number(at))); },
    });
    Object.defineProperty(Object.prototype, "getShiftedAlarm", {
      async value() {
        const real = await this.getAlarm();
        return real === null ? null : real + Date.now() - phylaxMachine.now();
      },
    });
  `;
  const shifted = Object.entries(bundles).map(([name, path]) => {
    const text = readFileSync(path, "utf8")
      .replaceAll(/\.(s|g)etAlarm\(/gu, ".$1etShiftedAlarm(")
      .replaceAll(/^\/\/# sourceMappingURL=.*$/gmu, "");
    const place = join(dirname(path), `shifted-${name}.js`);
    writeFileSync(place, `${head}${text}`);
    return [name, place] as const;
  });
  return Object.fromEntries(shifted) as Record<WorkerName, string>; // an entry for each worker
}
