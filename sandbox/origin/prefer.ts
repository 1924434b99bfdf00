/** What a client would rather have (R4 http.html#ops and §3.1.1.3; RFC 7240). What is not understood is not preferred. */
export interface Preference {
  /** What a write answers with. */
  readonly returns: "minimal" | "representation" | "OperationOutcome";
  /** Search parameters that are not known are left out, instead of refused. */
  readonly lenient: boolean;
}

/** The origin is strict and talkative unless told otherwise. */
export function readPreference(header: string | undefined): Preference {
  const wishes = new Set((header ?? "").split(/[,;]/u).map((wish) => wish.trim().replaceAll('"', "")));
  const returns =
    (["minimal", "OperationOutcome"] as const).find((what) => wishes.has(`return=${what}`)) ??
    "representation";
  return { returns, lenient: wishes.has("handling=lenient") };
}
