/** A client's preferences (R4 http.html#ops and §3.1.1.3; RFC 7240). An unknown preference has no effect. */
export interface Preference {
  /** The content of the answer to a write. */
  readonly returns: "minimal" | "representation" | "OperationOutcome";
  /** Leaves unknown search parameters out, instead of refusing them. */
  readonly lenient: boolean;
}

/** By default the origin is strict and returns the representation. */
export function readPreference(header: string | undefined): Preference {
  const wishes = new Set((header ?? "").split(/[,;]/u).map((wish) => wish.trim().replaceAll('"', "")));
  const returns =
    (["minimal", "OperationOutcome"] as const).find((what) => wishes.has(`return=${what}`)) ??
    "representation";
  return { returns, lenient: wishes.has("handling=lenient") };
}
