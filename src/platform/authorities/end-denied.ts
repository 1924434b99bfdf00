import type { Denial } from "#identity/denial-document";
import type { Instant } from "#kernel/clock";
import type { KeyList } from "#kernel/key-list";
import type { RegistrySql } from "#platform/registry/registry-sql";
import { endAuthorities, type EndedAuthorities } from "./authority-rows.ts";
import { personNames, tokenNames } from "./sealed-evidence.ts";

/**
 * The authorities that a denial ends for good: a token's denial ends with the token, which authorities outlive, and the
 * lifting of a person's or an authority's denial brings none back. The other denials last until they are lifted, and
 * each use is judged by them.
 */
function endedBy(denial: Denial, keys: KeyList): EndedAuthorities | undefined {
  switch (denial.kind) {
    case "token":
      return { tokens: tokenNames(keys, denial) };
    case "person":
      return { persons: personNames(keys, denial) };
    case "authority":
      return denial;
    case "key":
    case "certificate":
    case "proof_key":
    case "client":
    case "agreement":
    case "grant":
    case "policy":
      return undefined;
  }
}

/** Ends the authorities that these denials end for good. Call it when the denials are in force. */
export async function endDenied(
  registry: RegistrySql,
  keys: KeyList,
  denials: readonly Denial[],
  ended: { readonly at: Instant; readonly by: string },
): Promise<void> {
  for (const denial of denials) {
    const which = endedBy(denial, keys);
    if (which !== undefined) await endAuthorities(registry, which, ended);
  }
}
