import type { Instant } from "#kernel/clock";
import { texts } from "./texts.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;

/** A moment as people read it, in UTC: `2026-11-27 16:20 UTC`, on a single line. */
export const momentText = (at: number): string =>
  `${new Date(at).toISOString().slice(0, 16).replace("T", "\u00A0")}\u00A0UTC`;

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

/** An end as a moment, with the days until it. */
export const endText = (end: number, at: Instant): string => `${momentText(end)} (${untilText(end, at)})`;

/** `Observation 12, Patient 1` in words. A text of another form stays as it is. */
export const disclosedInWords = (counts: string): string =>
  counts
    .split(", ")
    .map((each) => {
      const [, kind, number] = /^(\w+) (\d+)$/u.exec(each) ?? [];
      return kind === undefined ? each : texts.counted(kind, Number(number));
    })
    .join("; ");

/** The time of day of a moment, in UTC: `16:20`. */
export const dayTimeText = (at: number): string => new Date(at).toISOString().slice(11, 16);

/** A wait in milliseconds or seconds. Infinity is above the longest wait that is told apart. */
export function waitText(milliseconds: number): string {
  if (milliseconds === Infinity) return texts.traffic.longest;
  return milliseconds < 1_000 ? `${milliseconds}\u00A0ms` : `${milliseconds / 1_000}\u00A0s`;
}

/** A share of a hundred, with a decimal below ten. */
export function percentText(share: number): string {
  if (share > 0 && share < 0.1) return "<\u00A00.1\u00A0%";
  return `${share > 0 && share < 10 ? share.toFixed(1) : Math.round(share)}\u00A0%`;
}

/** A number with thin separators: 12 345. */
export const numberText = (value: number): string =>
  String(value).replaceAll(/\B(?=(?:\d{3})+$)/gu, "\u202F");
