import type { Interaction } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import type { CompiledPolicy } from "#policy/compile";
import { showsInEachRule } from "#policy/relations";
import type { Access } from "#policy/row-access";
import type { NamingRefusal, OriginSession } from "#gateway/origin/origin-session";
import { relate, type RelateRefusal } from "#gateway/origin/relate";

/** The policy of a grant, and the scopes and patients of the caller by whom it is evaluated. */
export interface Permission {
  readonly policy: CompiledPolicy;
  readonly access: Access;
}

/** Finds out which patients the caller's scopes mean, and whether the question may name so many patients. */
export async function permit(
  policy: CompiledPolicy,
  who: Principal,
  interaction: Interaction,
  origin: OriginSession,
  at: Instant,
): Promise<Result<Permission, RelateRefusal | NamingRefusal>> {
  const related = await relate(who, policy.users, origin, at);
  if (!related.ok) return related;
  const access: Access = { ...related.value, shows: showsInEachRule(policy) };
  const naming = origin.nameAsked(patientsNamed(interaction), access);
  return naming.ok ? ok({ policy, access }) : naming;
}
