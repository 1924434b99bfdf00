import { dayMilliseconds, type Instant } from "#kernel/clock";

// 164.526(b)(2): days after the receipt, and the single extension.
const [daysToAct, daysOfExtension] = [60, 30];

/** The last calendar day on which the entity may act on a request, in UTC, and the last day to extend the time. */
export function dueDays(
  receivedAt: number,
  isExtended: boolean,
): { readonly act: string; readonly extend: string } {
  const day = Math.floor(receivedAt / dayMilliseconds);
  const dateOf = (days: number) => new Date((day + days) * dayMilliseconds).toISOString().slice(0, 10);
  const extend = dateOf(daysToAct);
  return { extend, act: isExtended ? dateOf(daysToAct + daysOfExtension) : extend };
}

/** True after the end of a calendar day. */
export const isOver = (day: string, at: Instant): boolean => at >= Date.parse(day) + dayMilliseconds;
