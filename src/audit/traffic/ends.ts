import type { Instant } from "#kernel/clock";

/** An end of a request, or of a write or a refusal of a batch. It has labels alone: see traffic/instruments. */
export interface RequestEnd {
  /** When the request came. */
  readonly at: Instant;
  /** Above 1: anonymous refusals of which only their sum is on record. */
  readonly count: number;
  /** Undefined for such a sum. */
  readonly interaction?: string;
  readonly outcome: string;
  readonly reason?: string;
  readonly client?: string;
  readonly purpose?: string;
}

/** An end with the time of its record. */
export interface RecordedEnd extends Omit<RequestEnd, "at"> {
  readonly recordedAt: Instant;
  /** From the request's arrival to its record; clocks of two machines may differ. */
  readonly milliseconds: number;
}

/** The newest ends of a log. */
export interface TailPart {
  /** The log's last frame, after which the next question asks; -1: it has none. */
  readonly frame: number;
  /** Oldest first. */
  readonly ends: readonly RecordedEnd[];
  /** True: ends are missing, because more came than the log remembers, or it restarted. */
  readonly isIncomplete: boolean;
}

/** The last frame that a reader has of each log; empty: the reader begins. */
export type TailCursor = Readonly<Record<string, number>>;

/** The newest ends of all open logs. */
export interface Tail {
  /** Oldest first. */
  readonly ends: readonly RecordedEnd[];
  /** The logs of which ends are missing. */
  readonly incomplete: readonly string[];
  readonly after: TailCursor;
}

/** How many ends a log remembers. */
export const endsRemembered = 500;

/**
 * The newest ends of a log in memory, at most {@link endsRemembered}, for an operator who watches. A restart forgets
 * them.
 */
export class RecentEnds {
  readonly #remembered: { readonly frame: number; readonly end: RecordedEnd }[] = [];
  /** The last frame of which an end may be forgotten. */
  #forgotten: number;

  /** `frame`: the last frame of a log that starts; -1: it has none. */
  constructor(frame: number) {
    this.#forgotten = frame;
  }

  /** Adds the ends of a committed frame. */
  add(frame: number, recordedAt: Instant, ends: readonly RequestEnd[]): void {
    for (const { at, ...end } of ends) {
      const milliseconds = Math.max(0, recordedAt - at);
      this.#remembered.push({ frame, end: { recordedAt, milliseconds, ...end } });
    }
    const [last] = this.#remembered.splice(0, this.#remembered.length - endsRemembered).slice(-1);
    if (last !== undefined) this.#forgotten = last.frame;
  }

  /** `after`: the frame of the answer before; undefined: no end, for a reader who begins. */
  since(after: number | undefined, frame: number): TailPart {
    if (after === undefined) return { frame, ends: [], isIncomplete: false };
    const ends = this.#remembered.flatMap((one) => (one.frame > after ? [one.end] : []));
    return { frame, ends, isIncomplete: this.#forgotten > after };
  }
}
