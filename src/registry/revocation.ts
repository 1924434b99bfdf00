import type { Instant } from "#kernel/clock";

/**
 * A record of the registry that a change names: `client/telehealth`, `origin/main`, `issuer/https://…`; and the
 * consents of a patient, `consent/main/SUBJECT`, where the subject is a pseudonym.
 */
export type RecordName = `${"client" | "origin" | "issuer" | "consent"}/${string}`;

/** A step of the registry, or of its denials. Epochs grow and are never used twice. */
export type Delta =
  /** `until`: when the denial ends by itself. */
  | { readonly epoch: number; readonly kind: "denied"; readonly name: string; readonly until: Instant | null }
  | { readonly epoch: number; readonly kind: "lifted"; readonly name: string }
  /**
   * Sent before a record is written, and again after the write. `RegistryPosition.pending` says which of
   * the two it is.
   */
  | { readonly epoch: number; readonly kind: "changed"; readonly name: RecordName };

/** The name of a denial, and when it ends by itself. */
interface Ending {
  readonly name: string;
  readonly until: Instant | null;
}

/** The state of the registry at an epoch. */
export interface RegistryPosition {
  readonly epoch: number;
  /**
   * Bookmark of the registry's database: a replica that is not behind it includes every confirmed write.
   * `null` if the database gave no bookmark, so that only the primary is known to include them.
   */
  readonly bookmark: string | null;
  /** Records that are being written: a value read from them may be outdated at once. */
  readonly pending: readonly RecordName[];
  /** The origins with any consent on file. Undefined: not known, so each origin may have consents. */
  readonly consentOrigins?: readonly string[] | undefined;
}

/**
 * An update for a listener: only the deltas that it missed, or the whole state if the missed part is
 * unknown.
 */
export type RevocationUpdate =
  | (RegistryPosition & {
      readonly kind: "deltas";
      readonly since: number;
      readonly deltas: readonly Delta[];
    })
  | (RegistryPosition & { readonly kind: "whole"; readonly denied: readonly Ending[] });

/** The revocation state of a listener: everything up to `epoch`. Settled plain data. */
export interface RevocationState extends RegistryPosition {
  readonly denied: ReadonlyMap<string, Instant | null>;
}

/** The effect of an update on an isolate, for one client. */
export interface AppliedUpdate {
  readonly client: string;
  readonly standing: RegistryPosition;
  /** Records that have changed. */
  readonly stale: readonly RecordName[] | "all";
  /**
   * `stale` names every change after this epoch, up to the epoch of `standing`. Undefined: earlier changes may be
   * missing.
   */
  readonly after?: number | undefined;
  /** All of this was true at this moment of the isolate's clock, or later. */
  readonly asOf: Instant;
}

/**
 * Clocks of isolates, guards and issuers differ. The denial of a token stays in force this long past the
 * token's end; if it ended earlier, a slow clock would accept the token again.
 */
export const denialGraceMilliseconds = 120_000;

const isLive = (until: Instant | null, at: Instant): boolean =>
  until === null || until > at - denialGraceMilliseconds;

/**
 * Applies an update, and names the cached records that it makes stale. `undefined`: the update begins after
 * the known epoch, so a delta was missed and the whole state must be asked for. A late update changes
 * nothing. Expired denials are dropped, so that they do not pile up for the life of the listener.
 */
export function applyUpdate(
  known: RevocationState | undefined,
  update: RevocationUpdate,
  at: Instant,
): { readonly state: RevocationState; readonly stale: readonly RecordName[] | "all" } | undefined {
  switch (update.kind) {
    case "whole":
      if (known !== undefined && known.epoch >= update.epoch) return { state: known, stale: [] };
      // A listener without any state has only young cache entries, which have a maximum age of their own:
      // no entry is stale.
      return {
        state: {
          ...positionOf(update),
          denied: new Map(update.denied.map(({ name, until }) => [name, until])),
        },
        stale: known === undefined ? [] : "all",
      };
    case "deltas": {
      if (known === undefined || update.since > known.epoch) return undefined;
      const missed = update.deltas.filter(({ epoch }) => epoch > known.epoch);
      const denied = missed.some(({ kind }) => kind !== "changed")
        ? new Map([...known.denied].filter(([, until]) => isLive(until, at)))
        : known.denied;
      // the map is a copy whenever a delta changes it
      for (const delta of missed) apply(denied as Map<string, Instant | null>, delta);
      const stale = missed.flatMap((delta) => (delta.kind === "changed" ? [delta.name] : []));
      return { state: { ...positionOf(update.epoch >= known.epoch ? update : known), denied }, stale };
    }
  }
}

const positionOf = ({ epoch, bookmark, pending, consentOrigins }: RegistryPosition): RegistryPosition => ({
  epoch,
  bookmark,
  pending,
  ...(consentOrigins && { consentOrigins }),
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
 * The update for a listener that knows everything up to `since`, made from the state `known` and the
 * `deltas` after `from`. The whole state leaves out expired denials.
 */
export function updateSince(
  known: RevocationState,
  history: { readonly from: number; readonly deltas: readonly Delta[] },
  since: number | undefined,
  at: Instant,
): RevocationUpdate {
  if (since !== undefined && since >= history.from && since <= known.epoch)
    return {
      kind: "deltas",
      since,
      ...positionOf(known),
      deltas: history.deltas.filter(({ epoch }) => epoch > since),
    };
  const denied = [...known.denied].map(([name, until]) => ({ name, until }));
  return { kind: "whole", ...positionOf(known), denied: denied.filter(({ until }) => isLive(until, at)) };
}
