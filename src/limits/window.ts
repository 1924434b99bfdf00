import { instant, type Instant } from "#kernel/clock";
import type { Quota } from "./quota.ts";

/** The count of a quota in a fixed window. Windows of w seconds begin at multiples of w since 1970. */
export interface QuotaWindow {
  readonly quota: Quota;
  readonly start: Instant;
  /** Granted in this window and not returned. */
  readonly granted: number;
  /**
   * The amount that storage has as granted, written in steps ahead of the count. After a restart all of it
   * counts as granted.
   */
  readonly reserved: number;
}

/** A window as storage keeps it. */
export type StoredWindow = Pick<QuotaWindow, "quota" | "start" | "reserved"> & { readonly key: string };

/** A guard's windows. `set` throws, and changes nothing, if there is no room for another key. */
export interface WindowStore {
  get(key: string): QuotaWindow | undefined;
  set(key: string, window: QuotaWindow): void;
}

/** The whole amount that was written ahead counts as granted. */
export const restored = ({ quota, start, reserved }: StoredWindow): QuotaWindow => ({
  quota,
  start,
  reserved,
  granted: reserved,
});

export const windowEnd = ({ quota, start }: QuotaWindow): Instant =>
  instant(start + quota.windowSeconds * 1000);

export const remaining = ({ quota, granted }: QuotaWindow): number => Math.max(0, quota.requests - granted);

/**
 * The window that counts now. A clock that steps back stays in the later window, and a window that changes
 * its length while it runs hands its count on. Neither gives a client a second allowance.
 */
export function windowAt(last: QuotaWindow | undefined, seen: Quota, at: Instant): QuotaWindow {
  const quota = newest(last?.quota, seen);
  const milliseconds = quota.windowSeconds * 1000;
  const start = instant(Math.floor(at / milliseconds) * milliseconds);
  if (last === undefined || at >= windowEnd(last)) return { quota, start, granted: 0, reserved: 0 };
  if (quota.windowSeconds === last.quota.windowSeconds) return { ...last, quota };
  return { ...last, quota, start };
}

/** If two isolates disagree within a revision, the smaller quota counts. */
function newest(known: Quota | undefined, seen: Quota): Quota {
  if (known === undefined || seen.revision > known.revision) return seen;
  if (seen.revision < known.revision) return known;
  return seen.requests < known.requests ? { ...known, requests: seen.requests } : known;
}

/** Takes tokens out of a window; the caller stores the window before it answers when `stored` is new. */
export function take(window: QuotaWindow, tokens: number): QuotaWindow {
  const granted = window.granted + tokens;
  if (granted <= window.reserved) return { ...window, granted };
  // Steps of 2 % of the quota: fifty writes per window, and a crash loses at most the amount of a step.
  const step = Math.max(1, Math.floor(window.quota.requests / 50));
  return {
    ...window,
    granted,
    reserved: Math.max(granted, Math.min(window.quota.requests, granted + step - 1)),
  };
}

/** Puts unspent tokens back. `reserved` stays: storage may claim too much, never too little. */
export function giveBack(window: QuotaWindow, tokens: number): QuotaWindow {
  return { ...window, granted: window.granted - Math.min(tokens, window.granted) };
}
