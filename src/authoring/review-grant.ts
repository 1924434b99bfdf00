import type { NamedGrant } from "#audit/grant-name";
import { parsePolicyDocument, type PolicyDocument } from "#policy/document";
import { narrowPolicy, type NarrowedPolicy } from "./narrow-policy.ts";
import type { UsedAccess } from "./used-access.ts";

/** A grant, as far as a review of its use needs it. */
export interface GrantToReview extends NamedGrant {
  /** The name of its policy. */
  readonly policy: string;
}

/**
 * The policy of a grant without the permissions that were not used. Undefined if nothing was used, or if no
 * narrower policy is known.
 *
 * @param body the content of the grant's policy. @param now milliseconds since 1970.
 */
export function narrowedByUse(used: UsedAccess, body: unknown, now: number): NarrowedPolicy | undefined {
  const policy = parsePolicyDocument(body);
  if (!policy.ok || used.count === 0) return undefined;
  const left = used.elementsLeft(now);
  const { types, operations, requests } = used;
  const elements = left === undefined ? undefined : new Set(left.keys());
  return narrowPolicy(policy.value, { types, operations, requests, elements });
}

/** The policy under a name of its own, for a new entry of the registry: names are of 64 characters at most. */
export function namedForGrant(
  { policy, client, purpose }: GrantToReview,
  narrowed: NarrowedPolicy,
): { readonly name: string; readonly body: PolicyDocument } {
  const name = `${policy.slice(0, 24)}-${client}-${purpose}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/gu, "-")
    .slice(0, 64);
  return { name, body: { ...narrowed.policy, name } };
}
