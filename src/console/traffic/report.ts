import type { Instant } from "#kernel/clock";
import type { RequestQuota } from "#limits/request-quota";
import { answerOrNone } from "#console/now";
import type { ConsolePorts } from "#console/ports";
import { type Range, spanUntil, type Timeline, timelineOf } from "./timeline.ts";

/** The numbers of a range for the plots; undefined: the part does not answer. */
export interface TrafficReport {
  readonly at: Instant;
  readonly timeline: Timeline | undefined;
  readonly quotas: readonly RequestQuota[] | undefined;
}

export async function lookAtTraffic(
  { admin, traffic, quotas }: Pick<ConsolePorts, "admin" | "traffic" | "quotas">,
  range: Range,
): Promise<TrafficReport> {
  const at = admin.clock();
  const [found, allowed] = await Promise.all([
    answerOrNone(() => traffic(spanUntil(at, range))),
    answerOrNone(quotas),
  ]);
  return { at, timeline: found && timelineOf(found, at, range), quotas: allowed };
}
