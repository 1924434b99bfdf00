import { err, ok, type Result } from "#kernel/result";

/** A code of the value set v3-PurposeOfUse (code system v3-ActReason), for example `TREAT`. */
export type Purpose = string;

export type PurposeRefusal =
  | { readonly reason: "purpose_malformed" }
  | { readonly reason: "purpose_not_granted"; readonly purpose: Purpose }
  /**
   * The request named no purpose, and none can be assumed: there are several, or the only purpose is
   * break-glass.
   */
  | { readonly reason: "purpose_not_chosen"; readonly purposes: readonly Purpose[] };

/** Upper-case letters only, so the root concept `PurposeOfUse` is no purpose. */
export const purposePattern = /^[A-Z]{2,16}$/u;

const purposesMax = 16;

/**
 * Break-glass must be requested, never assumed (45 CFR 164.312(a)(2)(ii) asks for a procedure, which begins
 * with a person's request).
 */
export const neverAssumed: ReadonlySet<Purpose> = new Set(["BTG", "ETREAT"]);

/**
 * The purposes of a token: the form parameter `purpose_of_use`, or without it the client's only granted
 * purpose at that origin.
 */
export function requestedPurposes(
  requested: string | undefined,
  granted: readonly Purpose[],
): Result<readonly Purpose[], PurposeRefusal> {
  if (requested === undefined) {
    const [only] = granted;
    if (only === undefined || granted.length > 1 || neverAssumed.has(only))
      return err({ reason: "purpose_not_chosen", purposes: granted });
    return ok([only]);
  }
  const purposes = requested.split(" ");
  if (purposes.length > purposesMax || new Set(purposes).size !== purposes.length)
    return err({ reason: "purpose_malformed" });
  if (!purposes.every((purpose) => purposePattern.test(purpose))) return err({ reason: "purpose_malformed" });
  const foreign = purposes.find((purpose) => !granted.includes(purpose));
  return foreign === undefined ? ok(purposes) : err({ reason: "purpose_not_granted", purpose: foreign });
}

/** The purpose of a request: `Phylax-Purpose` may only choose within the token's set. */
export function choosePurpose(
  requested: string | undefined,
  within: readonly Purpose[],
): Result<Purpose, PurposeRefusal> {
  if (requested === undefined) {
    const [only] = within;
    return only === undefined || within.length > 1
      ? err({ reason: "purpose_not_chosen", purposes: within })
      : ok(only);
  }
  if (!purposePattern.test(requested)) return err({ reason: "purpose_malformed" });
  return within.includes(requested)
    ? ok(requested)
    : err({ reason: "purpose_not_granted", purpose: requested });
}
