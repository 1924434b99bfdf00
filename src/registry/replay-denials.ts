import { denialName } from "#identity/denial";
import { readDenial, type Denial } from "#identity/denial-document";

/** An act about denials, or the end of a session or of a client's own token, from its records. */
export interface RecordedDenialAct {
  readonly at: number; // ms: its arrival
  /** The times of its first frame, and of the frame with its outcome, in seconds since 1970. */
  readonly begun: number;
  /** Undefined: its end is not on record. */
  readonly ended: number | undefined;
  /** `own-token`: a client revoked its own token. */
  readonly interaction: string;
  /** The document that was submitted, and the effect, as texts of JSON; empty if there is none. */
  readonly submitted: string;
  readonly effect: string;
  /** Undefined: its end is not on record. */
  readonly status: number | undefined;
  /** The token of the caller: the end of a session and a client's own revocation deny it. */
  readonly token: { readonly issuer: string; readonly tokenId: string } | undefined;
}

/**
 * The denials in force after these acts. A lift ends each denial of its name that was done before the lift began. If
 * a denial and a lift overlap, the records do not have the order of their effects, and the denial counts. An act
 * without a recorded end counts as done if it denies, and as not done if it lifts: an unclear state is denied. The
 * later end of two denials of a token counts, and a token's denial that has ended is left out.
 * `sessionMilliseconds`, `ownTokenMilliseconds`: how long the end of a session and a client deny a token at most.
 */
export function replayDenials(
  acts: readonly RecordedDenialAct[],
  now: number,
  sessionMilliseconds: number,
  ownTokenMilliseconds: number,
): readonly Denial[] {
  const denied: { readonly denial: Denial; readonly done: number }[] = [];
  const liftedAt = new Map<string, number>(); // by name: when the last lift began
  for (const act of acts.toSorted((left, right) => left.at - right.at)) {
    const { at, begun, ended = Infinity, interaction, submitted, effect, status, token } = act;
    const isRefused = status !== undefined && status >= 400;
    if (isRefused) continue;
    const deny = (value: unknown) => {
      const read = readDenial(value);
      if (read.ok) denied.push({ denial: read.value, done: ended });
    };
    const lift = (value: unknown) => {
      const read = readDenial(value);
      if (!read.ok) return;
      const name = denialName(read.value);
      liftedAt.set(name, Math.max(begun, liftedAt.get(name) ?? begun));
    };
    if (interaction === "revoke") deny(jsonOf(submitted));
    else if ((interaction === "end-session" || interaction === "own-token") && token !== undefined) {
      const lasts = interaction === "own-token" ? ownTokenMilliseconds : sessionMilliseconds;
      deny({ kind: "token", issuer: token.issuer, id: token.tokenId, until: at + lasts });
    } else if (interaction === "lift-revocation" && status === 200) lift(jsonOf(submitted));
    else if (interaction === "approve" && status === 200)
      for (const lifted of liftedIn(jsonOf(effect))) lift(lifted);
  }
  const inForce = denied
    .filter(({ denial, done }) => done >= (liftedAt.get(denialName(denial)) ?? -Infinity))
    .map(({ denial }) => denial);
  const untilOf = (denial: Denial) => (denial.kind === "token" ? denial.until : Infinity);
  return [...Map.groupBy(inForce, denialName).values()]
    .map((same) => same.reduce((one, other) => (untilOf(other) > untilOf(one) ? other : one)))
    .filter((denial) => untilOf(denial) > now);
}

/** The denials that an approved proposal has lifted. */
function liftedIn(effect: unknown): readonly unknown[] {
  if (!Array.isArray(effect)) return [];
  return effect.flatMap((entry: unknown) =>
    typeof entry === "object" &&
    entry !== null &&
    Reflect.get(entry, "kind") === "denial" &&
    Reflect.get(entry, "lifted") === true
      ? [Reflect.get(entry, "before")]
      : [],
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // a part of the document is not on record
  }
}
