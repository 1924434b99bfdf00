import { dayMilliseconds, type Instant } from "#kernel/clock";
import type { RegistryDocument } from "./document.ts";
import { invalid, type RegistryProblem } from "./problem.ts";

// A quarter: long enough to change an issuer's configuration, and short enough that an operator has to
// decide again.
const daysAheadMax = 90;

/**
 * The problem of a file that asks for an exception from bound tokens (FAPI 2.0 §5.3.3) for longer than an
 * operator may decide at once.
 */
export function exceptionProblem({ clients }: RegistryDocument, at: Instant): RegistryProblem | undefined {
  const latest = at + daysAheadMax * dayMilliseconds;
  const tooLong = clients.findIndex(
    ({ unboundUntil }) => unboundUntil !== undefined && Date.parse(unboundUntil) > latest,
  );
  return tooLong === -1
    ? undefined
    : invalid(["clients", tooLong, "unboundUntil"], `at most ${daysAheadMax} days ahead`);
}
