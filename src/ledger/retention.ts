import { isPlainObject } from "#kernel/plain-object";
import { dayMilliseconds } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { endOf, SWITCH_SLACK_MS } from "./log-name.ts";

/** A rule of a bucket's lock, in the form of Cloudflare's API (R2, "Get Bucket Lock Rules"). */
export interface LockRule {
  readonly id: string;
  readonly enabled: boolean;
  /** Empty for all objects. */
  readonly prefix: string;
  readonly condition:
    | { readonly type: "Age"; readonly maxAgeSeconds: number } // since the upload of each object
    | { readonly type: "Date"; readonly date: string }
    | { readonly type: "Indefinite" };
}

/** Six years (45 CFR 164.316(b)(2)(i), 164.528(a)) in days, with at most two leap days. */
export const SIX_YEARS_DAYS = 6 * 365 + 2;

/**
 * Reads the API's answer, `{ success, result: { rules } }`, or the file that `wrangler r2 bucket lock set
 * --file` takes, `{ rules }`.
 */
export function readLockRules(input: unknown): Result<readonly LockRule[], string> {
  if (!isPlainObject(input)) return err("is neither an answer of the API nor a file of rules");
  if (input["success"] === false) return err("is an answer of a failed call");
  const holder = isPlainObject(input["result"]) ? input["result"] : input;
  const list: unknown = holder["rules"];
  if (!Array.isArray(list)) return err("has no list of rules");
  const rules: LockRule[] = [];
  for (const [i, input] of list.entries()) {
    const rule = readRule(input);
    // no unknown rule is ignored: it may be the decisive rule
    if (rule === undefined) return err(`has an unknown rule: rules[${i}]`);
    rules.push(rule);
  }
  return ok(rules);
}

function readRule(input: unknown): LockRule | undefined {
  if (!isPlainObject(input) || !isPlainObject(input["condition"])) return undefined;
  const { id, enabled, prefix = "", condition } = input;
  if (typeof id !== "string" || typeof enabled !== "boolean" || typeof prefix !== "string") return undefined;
  const { type, maxAgeSeconds, date } = condition;
  if (type === "Indefinite") return { id, enabled, prefix, condition: { type } };
  if (type === "Age" && typeof maxAgeSeconds === "number" && maxAgeSeconds >= 0)
    return { id, enabled, prefix, condition: { type, maxAgeSeconds } };
  if (type === "Date" && typeof date === "string" && !Number.isNaN(Date.parse(date)))
    return { id, enabled, prefix, condition: { type, date } };
  return undefined;
}

/** The locks on a log's objects in the bucket: everything below `log/<origin>/`. */
export interface LogLock {
  /** The longest rule that locks each object for six years. */
  readonly rule: LockRule | undefined;
  /**
   * ms since 1970: from this time on the whole log may be deleted; undefined when a rule forbids deletion
   * for good.
   */
  readonly removable: number | undefined;
}

/**
 * How the rules lock a log. A rule counts only when it covers all objects of the log, for six years from the
 * upload of each: by age, for good, or until a date six years after the half-year's end. The root log has no
 * end, so a date does not count, and the root log is never deleted.
 */
export function lockOf(origin: string, rules: readonly LockRule[]): LogLock {
  const end = endOf(origin.slice(origin.lastIndexOf("/") + 1));
  const last = (end ?? 0) + SWITCH_SLACK_MS; // for a log without an end only the difference counts
  const held = rules
    .filter(
      ({ enabled, prefix, condition }) =>
        enabled && `log/${origin}/`.startsWith(prefix) && (end !== undefined || condition.type !== "Date"),
    )
    .map((rule) => ({ rule, until: heldUntil(rule, last) }))
    .sort((a, b) => b.until - a.until);
  const sixYears = last + SIX_YEARS_DAYS * dayMilliseconds;
  const [longest] = held;
  const removable = Math.max(sixYears, longest?.until ?? 0);
  return {
    rule: longest !== undefined && longest.until >= sixYears ? longest.rule : undefined,
    removable: removable === Infinity || end === undefined ? undefined : removable,
  };
}

/**
 * Rules that would keep the ledger from publishing: checkpoints are overwritten in place
 * (docs/ledger-format.md §10).
 */
export const rulesOnCheckpoints = (rules: readonly LockRule[]): readonly LockRule[] =>
  rules.filter(
    ({ enabled, prefix }) =>
      enabled && (prefix.startsWith("checkpoint/") || "checkpoint/".startsWith(prefix)),
  );

/** The end of the lock on an object that is uploaded at `at`. */
function heldUntil({ condition }: LockRule, at: number): number {
  switch (condition.type) {
    case "Indefinite":
      return Infinity;
    case "Age":
      return at + condition.maxAgeSeconds * 1000;
    case "Date":
      return Date.parse(condition.date);
  }
}
