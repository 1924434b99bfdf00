import { denialName, readDenial, type Denial } from "#identity/denial";

/** An act about denials, or the end of a session or of a client's own token, from its records. */
export interface RecordedDenialAct {
  readonly at: number; // ms
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
 * The denials in force after these acts, in the order of time. An act whose end is not on record counts as done if
 * it denies, and as not done if it lifts: an unclear state is denied. A token's denial that has ended is left out.
 * `sessionMilliseconds`, `ownTokenMilliseconds`: how long the end of a session and a client deny a token at most.
 */
export function replayDenials(
  acts: readonly RecordedDenialAct[],
  now: number,
  sessionMilliseconds: number,
  ownTokenMilliseconds: number,
): readonly Denial[] {
  const denials = new Map<string, Denial>();
  const deny = (value: unknown) => {
    const read = readDenial(value);
    if (read.ok) denials.set(denialName(read.value), read.value);
  };
  const lift = (value: unknown) => {
    const read = readDenial(value);
    if (read.ok) denials.delete(denialName(read.value));
  };
  for (const { at, interaction, submitted, effect, status, token } of acts.toSorted((a, b) => a.at - b.at)) {
    const isRefused = status !== undefined && status >= 400;
    if (isRefused) continue;
    if (interaction === "revoke") deny(jsonOf(submitted));
    else if ((interaction === "end-session" || interaction === "own-token") && token !== undefined) {
      const lasts = interaction === "own-token" ? ownTokenMilliseconds : sessionMilliseconds;
      deny({ kind: "token", issuer: token.issuer, id: token.tokenId, until: at + lasts });
    } else if (interaction === "lift-revocation" && status === 200) lift(jsonOf(submitted));
    else if (interaction === "approve" && status === 200)
      for (const lifted of liftedIn(jsonOf(effect))) lift(lifted);
  }
  return [...denials.values()].filter((denial) => denial.kind !== "token" || denial.until > now);
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
