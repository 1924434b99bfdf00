import type { ConsentDecision } from "./consent/decide-by-consents.ts";

/** 42 CFR 2.32(a)(2), as of 89 FR 12472: it accompanies each record of a Part 2 program. */
export const part2Notice = "42 CFR part 2 prohibits unauthorized use or disclosure of these records.";

/**
 * 42 CFR 2.32(b): a clear explanation of the scope of the consent goes with the records, and the Consent's
 * reference. @param because undefined: the policy lets the labels leave.
 */
export function part2Scope(
  purpose: string | undefined,
  because: readonly NonNullable<ConsentDecision["because"]>[] | undefined,
): string {
  if (because === undefined) return `The records are disclosed to this client for the purpose ${purpose}.`;
  const named = because.map(({ digest, path }) => `${digest} (${path})`).join(", ");
  return `The patient's written consent permits this disclosure to this client for the purpose ${purpose}: Consent ${named}. Each further use needs a permission of 42 CFR part 2.`;
}
