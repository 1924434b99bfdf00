import type { Reading } from "#fhir/interaction";
import { wantedMembers } from "#fhir/search/element-list";
import type { ResourceType } from "#fhir/r4/elements";
import { err, ok, type Result } from "#kernel/result";
import type { CompiledPolicy, CompiledRule } from "./compile.ts";
import type { Grant, PolicyRefusal } from "./grant.ts";
import { canCover, canCoverSome, type Access } from "./row-access.ts";
import { type GrantBasis, granted, isReferredBy, noReferrers, grantingRules } from "./grant-rows.ts";
import { evaluateAnySearch, referrersOf } from "#policy/search/evaluate-search";

/** Decides from policy ∩ scopes. A request that no rule grants is refused (P2). */
export function evaluate(
  policy: CompiledPolicy,
  access: Access,
  interaction: Reading,
): Result<Grant, PolicyRefusal> {
  return interaction.kind === "search"
    ? evaluateAnySearch(policy, access, interaction)
    : evaluateRead(policy, access, interaction);
}

function evaluateRead(
  policy: CompiledPolicy,
  access: Access,
  interaction: Exclude<Reading, { kind: "search" }>,
): Result<Grant, PolicyRefusal> {
  const { type, id } = interaction;
  const elements = wantedMembers(type, interaction);
  const found = grantingRules(policy, access, type, "read");
  if (!found.ok) return found;
  const { rowAccess } = found.value;
  // A rule with `referredBy` opens a Binary to nobody who knows its id alone.
  const isOpenedOnly = type === "Binary" && found.value.rules.every(({ referredBy }) => referredBy.size > 0);
  const isShared = !canCover(rowAccess, type) || isOpenedOnly;
  const ownable = isShared && !isOpenedOnly && canCoverSome(rowAccess, type);
  const rules =
    isShared && !ownable
      ? found.value.rules.filter(({ referredBy }) => referredBy.size > 0)
      : found.value.rules;
  const isDirectory = rules.some((rule) => rule.isDirectory);
  const referrers = isShared && !isDirectory ? referrersOf(policy, access, rules, type, id) : [];
  const needsReferrer = isShared && !ownable && !isDirectory;
  // A Binary may also be opened by the link of an attachment, or by its `securityContext`.
  const isOpenable = type === "Binary" ? rules.length > 0 : referrers.length > 0;
  if (needsReferrer && !isOpenable) return err({ reason: "outside_patient_compartment", type });

  const current = { path: `${type}/${id}`, query: "" };
  const behind = (type: ResourceType, id: string) => evaluateRead(policy, access, { kind: "read", type, id });
  const grantBy = (rules: readonly CompiledRule[], by = noReferrers, contextIsSeen = false): Grant => {
    const basis: GrantBasis = {
      policy,
      access,
      type,
      rules,
      rowAccess,
      elements,
      contextIsSeen,
      by: () => by,
    };
    const referredBy = (names: ReadonlySet<string>) =>
      ownable ? grantBy(rules, names) : grantBy(rules.filter(isReferredBy(names)));
    const expects = {
      type,
      id,
      referrers,
      needsReferrer,
      mayBeOwned: ownable,
      referredBy,
      behind,
      whenContextIsSeen: () => grantBy(rules, by, true),
    };
    if (interaction.kind === "read") return granted(basis, rules, current, { kind: "read", ...expects });
    const { version } = interaction;
    const ask = { path: `${type}/${id}/_history/${version}`, query: "" };
    return granted(basis, rules, ask, { kind: "vread", ...expects, version, current });
  };
  return ok(grantBy(rules));
}
