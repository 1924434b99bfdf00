import { instant, type Instant } from "#kernel/clock";
import type { RequestQuota } from "#limits/request-quota";
import { answerOrNone } from "#console/now";
import type { TrafficAt, TrafficSpan } from "#audit/traffic/span";
import type { ConsolePorts } from "#console/ports";
import { isOfClient } from "./plots.ts";
import { type Range, spanUntil, type Timeline, timelineOf } from "./timeline.ts";

/** The numbers of a range for the plots; undefined: the part does not answer. */
export interface TrafficReport {
  readonly at: Instant;
  readonly timeline: Timeline | undefined;
  readonly ages: Timeline | undefined;
  readonly quotas: readonly RequestQuota[] | undefined;
}

export async function lookAtTraffic(
  { admin, traffic, ages }: Pick<ConsolePorts, "admin" | "traffic" | "ages">,
  range: Range,
): Promise<TrafficReport> {
  const at = admin.clock();
  const span = spanUntil(at, range);
  const [counted, aged, allowed] = await Promise.all([
    answerOrNone(() => traffic(span)),
    answerOrNone(() => ages(span)),
    answerOrNone(admin.quotas),
  ]);
  const timeline = (found: readonly TrafficAt[] | undefined) => found && timelineOf(found, at, range);
  return { at, timeline: timeline(counted), ages: timeline(aged), quotas: allowed };
}

/** The numbers of a client. */
export interface ClientTraffic {
  readonly range: Range;
  readonly timeline: Timeline | undefined;
  /** The minute of the last end of a request in thirty days; `null`: there is none; undefined: not known. */
  readonly lastUse: Instant | null | undefined;
}

export async function lookAtClient(
  { admin, traffic }: Pick<ConsolePorts, "admin" | "traffic">,
  client: string,
  range: Range,
): Promise<ClientTraffic> {
  const at = admin.clock();
  const of = async (span: Required<TrafficSpan>) =>
    (await traffic(span)).flatMap(({ at: first, counts }) => {
      const own = [...counts].filter(([series]) => isOfClient(series, client));
      return own.length === 0 ? [] : [{ at: first, counts: new Map(own) }];
    });
  const [found, lastUse] = await Promise.all([
    answerOrNone(() => of(spanUntil(at, range))),
    answerOrNone(async () => {
      const month = spanUntil(at, "month");
      const bin = (await of(month)).at(-1)?.at;
      if (bin === undefined) return null;
      const from = bin * 60;
      const minute = (await of({ by: "minute", step: 1, from, to: from + month.step * 60 - 1 })).at(-1)?.at;
      return minute === undefined ? null : instant(minute * 60_000);
    }),
  ]);
  return { range, timeline: found && timelineOf(found, at, range), lastUse };
}
