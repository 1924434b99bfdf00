import { err, ok, type Result } from "#kernel/result";

/** The conditions in a write's headers, read once. */
export interface WriteConditions {
  /**
   * `If-Match` (RFC 9110 §13.1.1): a listed version must be the current version; `*`: any
   * version.
   */
  readonly ifMatch: "*" | readonly EntityTag[] | undefined;
  /** `If-None-Exist`, as sent: {@link conditionQuery} reads it. */
  readonly ifNoneExist: string | undefined;
  /** `Prefer: return=…` (FHIR R4 http §3.1.0.1.7, RFC 7240 §4.2). */
  readonly returns: Returned | undefined;
}

export type Returned = "minimal" | "representation" | "OperationOutcome";

/** The client asks for an OperationOutcome in place of the written resource. */
export const asksForOutcome = (returned: Returned | undefined): boolean => returned === "OperationOutcome";

export interface EntityTag {
  readonly weak: boolean;
  /** Between the quotes. */
  readonly text: string;
}

export type ConditionsRefusal =
  | { readonly reason: "precondition_malformed" }
  /**
   * A condition that is not supported here although HTTP defines it: ignoring it would do the write against
   * the client's will.
   */
  | { readonly reason: "precondition_not_supported" };

// RFC 9110 §8.8.3; no real list is longer than `tagsMax`.
const entityTag = /^\s*(?<weak>W\/)?"(?<text>[\x21\x23-\x7e\x80-\xff]*)"\s*$/u;
const tagsMax = 64;

/**
 * @param header the value of a header, with repeated lines joined by commas; null if the header is absent.
 */
export function readConditions(
  header: (name: string) => string | null,
): Result<WriteConditions, ConditionsRefusal> {
  // `If-Modified-Since` is for reads alone and ignored (RFC 9110 §13.1.3).
  if (header("if-none-match") !== null || header("if-unmodified-since") !== null)
    return err({ reason: "precondition_not_supported" });
  const match = header("if-match");
  const ifMatch = match === null ? undefined : readTags(match);
  if (ifMatch === "malformed") return err({ reason: "precondition_malformed" });
  return ok({
    ifMatch,
    ifNoneExist: header("if-none-exist")?.trim(),
    returns: readPreference(header("prefer") ?? ""),
  });
}

/**
 * The query of `If-None-Exist` (FHIR R4 http §3.1.0.8.1). HAPI's client sends the whole address of the search. Any
 * address but that of the created type below the client's own base stays in the text, where no query can be read.
 */
export function conditionQuery(text: string, type: string, base: string): string {
  const mark = text.indexOf("?");
  const isOwn = mark !== -1 && ["", type, `${base}/${type}`].includes(text.slice(0, mark));
  // A header may have a raw space, as no URL has. Its characters outside ASCII have no known encoding.
  return (isOwn ? text.slice(mark + 1) : text).replaceAll(" ", "%20");
}

function readTags(text: string): "*" | readonly EntityTag[] | "malformed" {
  if (text.trim() === "*") return "*";
  const tags = entityTagsIn(text);
  return tags.every((tag) => tag !== "malformed") ? tags : "malformed";
}

/** The items of a list of entity tags. A list that is too long is a single malformed item. */
export function entityTagsIn(text: string): readonly (EntityTag | "malformed")[] {
  const parts = text.split(",", tagsMax + 1);
  if (parts.length > tagsMax) return ["malformed"];
  return parts.map((part) => {
    const { weak, text } = entityTag.exec(part)?.groups ?? {};
    return text === undefined ? "malformed" : { weak: weak !== undefined, text };
  });
}

function readPreference(text: string): Returned | undefined {
  const value = preferenceIn(text, "return");
  return (["minimal", "representation", "OperationOutcome"] as const).find(
    (known) => known.toLowerCase() === value,
  );
}

/** True for `Prefer: respond-async` (RFC 7240 §4.1). */
export const asksForAsync = (prefer: string | null): boolean =>
  prefer !== null && /(?:^|,)\s*respond-async\s*(?=$|[,;])/iu.test(prefer);

/** True for `Prefer: handling=lenient` (FHIR R4 §3.1.1.1): a search may ignore names that are no parameters. */
export const isLenient = (prefer: string | null): boolean =>
  preferenceIn(prefer ?? "", "handling") === "lenient";

/** The value of a preference, in small letters. The first one counts (RFC 7240 §2); an unknown one is ignored. */
function preferenceIn(text: string, name: "return" | "handling"): string | undefined {
  const wishes = text
    .split(",")
    .map((wish) => /^\s*(?<key>\w+)\s*=\s*"?(?<value>[^";]*)/u.exec(wish)?.groups);
  return wishes
    .find((wish) => wish?.["key"]?.toLowerCase() === name)
    ?.["value"]?.trim()
    .toLowerCase();
}
