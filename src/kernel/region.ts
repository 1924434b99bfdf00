import type { Instant } from "./clock.ts";

/**
 * Cloudflare's location hints for Durable Objects (docs: durable-objects/reference/data-location). An object
 * starts near its hint and never moves; the hint of the first call counts.
 */
export const regions = [
  "wnam",
  "enam",
  "sam",
  "weur",
  "eeur",
  "apac",
  "apac-ne",
  "apac-se",
  "oc",
  "afr",
  "me",
] as const;

/** A part of the world in which a Durable Object can be placed. */
export type Region = (typeof regions)[number];

/** The home of a client: its guard is there, and the logs of its DPoP keys. */
export interface Home {
  readonly region: Region | undefined;
  /** When the region changed last; undefined: never since the client was registered. */
  readonly since: Instant | undefined;
}

export const isRegion = (text: string): text is Region => regions.some((region) => region === text);
