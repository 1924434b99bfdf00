import type { Instant } from "#kernel/clock";

/** A record of the registry that a change names: `client/telehealth`, `origin/main`, `issuer/https://…`. */
export type RecordName = `${"client" | "origin" | "issuer"}/${string}`;

/** One step of the registry, or of what is denied beside it. Epochs grow by one and are never used twice. */
export type Delta =
  /** `until`: when it ends by itself. */
  | { readonly epoch: number; readonly kind: "denied"; readonly name: string; readonly until: Instant | null }
  | { readonly epoch: number; readonly kind: "lifted"; readonly name: string }
  /** Told before a record is written, and again after. `RegistryPosition` says which of the two. */
  | { readonly epoch: number; readonly kind: "changed"; readonly name: RecordName };

/** The name of a denial, and when it ends by itself. */
interface Ending {
  readonly name: string;
  readonly until: Instant | null;
}

/** Where the registry is at an epoch. */
export interface RegistryPosition {
  readonly epoch: number;
  /**
   * Of the registry's database: a copy that is not behind it has every write that was told as done. `null` when the database
   * did not say, so that only its primary copy is known to have them.
   */
  readonly bookmark: string | null;
  /** Being written: what is read of these may be over at once. */
  readonly pending: readonly RecordName[];
}

/** What a listener hears: only what it has missed, or all of it when nobody knows what it has missed. */
export type RevocationUpdate =
  | (RegistryPosition & {
      readonly kind: "deltas";
      readonly since: number;
      readonly deltas: readonly Delta[];
    })
  | (RegistryPosition & { readonly kind: "whole"; readonly denied: readonly Ending[] });

/** What a listener knows: everything up to `epoch`. Settled plain data. */
export interface RevocationState extends RegistryPosition {
  readonly denied: ReadonlyMap<string, Instant | null>;
}

/** What an isolate has heard for one client. */
export interface AppliedUpdate {
  readonly client: string;
  readonly standing: RegistryPosition;
  /** Records that are not what they were. */
  readonly stale: readonly RecordName[] | "all";
  /** All of it was so then, or later, by the isolate's clock. */
  readonly asOf: Instant;
}

/** Clocks of isolates, guards and issuers differ: the denial of a token is kept and told so long past its end, or it would be good once more. */
export const denialGraceMilliseconds = 120_000;

const isLive = (until: Instant | null, at: Instant): boolean =>
  until === null || until > at - denialGraceMilliseconds;

/**
 * What is known after some news, and which cached records it makes worthless. `undefined`: the news begins after what is
 * known, so something between was missed, and all must be asked for. An update that came late changes nothing. Denials that are over are let go, or they would
 * pile up for as long as the listener lives.
 */
export function applyUpdate(
  heard: RevocationState | undefined,
  news: RevocationUpdate,
  at: Instant,
): { readonly state: RevocationState; readonly stale: readonly RecordName[] | "all" } | undefined {
  switch (news.kind) {
    case "whole":
      if (heard !== undefined && heard.epoch >= news.epoch) return { state: heard, stale: [] };
      // Who never heard anything has only what is too young to be worthless: caches have an age of their own.
      return {
        state: { ...standingOf(news), denied: new Map(news.denied.map(({ name, until }) => [name, until])) },
        stale: heard === undefined ? [] : "all",
      };
    case "deltas": {
      if (heard === undefined || news.since > heard.epoch) return undefined;
      const missed = news.deltas.filter(({ epoch }) => epoch > heard.epoch);
      const denied = missed.some(({ kind }) => kind !== "changed")
        ? new Map([...heard.denied].filter(([, until]) => isLive(until, at)))
        : heard.denied;
      for (const delta of missed) apply(denied as Map<string, Instant | null>, delta); // its own copy, when a delta changes it
      const stale = missed.flatMap((delta) => (delta.kind === "changed" ? [delta.name] : []));
      return { state: { ...standingOf(news.epoch >= heard.epoch ? news : heard), denied }, stale };
    }
  }
}

const standingOf = ({ epoch, bookmark, pending }: RegistryPosition): RegistryPosition => ({
  epoch,
  bookmark,
  pending,
});

function apply(denied: Map<string, Instant | null>, delta: Delta): void {
  switch (delta.kind) {
    case "denied":
      denied.set(delta.name, delta.until);
      return;
    case "lifted":
      denied.delete(delta.name);
      return;
    case "changed":
      return;
  }
}

/**
 * What a teller that knows `heard`, and of the past the `deltas` after `from`, tells a listener who knows all up to `since`.
 * Denials that are over are left out of the whole.
 */
export function updateSince(
  heard: RevocationState,
  past: { readonly from: number; readonly deltas: readonly Delta[] },
  since: number | undefined,
  at: Instant,
): RevocationUpdate {
  if (since !== undefined && since >= past.from && since <= heard.epoch)
    return {
      kind: "deltas",
      since,
      ...standingOf(heard),
      deltas: past.deltas.filter(({ epoch }) => epoch > since),
    };
  const denied = [...heard.denied].map(([name, until]) => ({ name, until }));
  return { kind: "whole", ...standingOf(heard), denied: denied.filter(({ until }) => isLive(until, at)) };
}
