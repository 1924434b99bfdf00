import type { Instant } from "#kernel/clock";
import { texts } from "./texts.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** A moment as people read it, in UTC: `2026-11-27 16:20 UTC`. */
export const momentText = (at: number): string =>
  `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;

/** The time since a moment, rounded down to its largest unit. */
export function agoText(since: number, at: Instant): string {
  const passed = Math.max(0, at - since);
  if (passed < minute) return texts.ago.seconds(Math.floor(passed / 1000));
  if (passed < hour) return texts.ago.minutes(Math.floor(passed / minute));
  if (passed < day) return texts.ago.hours(Math.floor(passed / hour));
  return texts.ago.days(Math.floor(passed / day));
}

/** The time until an end, in days. */
export function untilText(end: number, at: Instant): string {
  const days = Math.floor(Math.abs(end - at) / day);
  if (end <= at) return texts.ends.ended(days);
  return days === 0 ? texts.ends.today : texts.ends.left(days);
}

/** A number with thin separators: 12 345. */
export const numberText = (value: number): string =>
  String(value).replaceAll(/\B(?=(?:\d{3})+$)/gu, "\u202F");
