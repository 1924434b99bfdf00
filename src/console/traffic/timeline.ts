import { type Traffic } from "#audit/traffic/instruments";
import { spanUnits, type TrafficAt, type TrafficSpan } from "#audit/traffic/span";
import { instant, type Instant } from "#kernel/clock";

/** `tick`: the minutes or hours between two labels of the time axis. */
interface Shape {
  readonly by: TrafficSpan["by"];
  readonly step: number;
  readonly bins: number;
  readonly tick: number;
}

/** The ranges of the picker. */
export const ranges = {
  hour: { by: "minute", step: 1, bins: 60, tick: 10 },
  day: { by: "minute", step: 15, bins: 96, tick: 240 },
  week: { by: "hour", step: 2, bins: 84, tick: 24 },
  month: { by: "hour", step: 6, bins: 120, tick: 120 },
} as const satisfies Readonly<Record<string, Shape>>;
export type Range = keyof typeof ranges;

export const rangeNames: readonly Range[] = ["hour", "day", "week", "month"];

/** A text that names no range is the last hour. */
export const plotRange = (text: string | null): Range => rangeNames.find((name) => name === text) ?? "hour";

/** The numbers of a range, bin by bin; a bin without traffic is empty. */
export interface Timeline {
  readonly range: Range;
  readonly binSeconds: number;
  readonly bins: readonly { readonly from: Instant; readonly counts: Traffic; readonly isTick: boolean }[];
}

/** The span that ends with the bin of this moment. */
export function spanUntil(at: Instant, range: Range): Required<TrafficSpan> {
  const { by, step, bins } = ranges[range];
  const last = Math.floor(at / (spanUnits[by].milliseconds * step)) * step;
  return { by, step, from: last - (bins - 1) * step, to: last + step - 1 };
}

export function timelineOf(found: readonly TrafficAt[], at: Instant, range: Range): Timeline {
  const { by, step, bins, tick }: Shape = ranges[range];
  const { from } = spanUntil(at, range);
  const counts = new Map(found.map((each) => [each.at, each.counts]));
  return {
    range,
    binSeconds: (spanUnits[by].milliseconds * step) / 1000,
    bins: Array.from({ length: bins }, (_, i) => {
      const first = from + i * step;
      return {
        from: instant(first * spanUnits[by].milliseconds),
        counts: counts.get(first) ?? new Map<string, number>(),
        isTick: first % tick === 0,
      };
    }),
  };
}
