import type { Interaction } from "#fhir/interaction";
import { patientsNamed } from "#fhir/patients-named";
import type { Result } from "#kernel/result";
import type { RelateRefusal } from "#gateway/origin/asking";
import { namesMaxOfSystem, type NamingRefusal } from "#gateway/origin/named-patients";
import type { OriginSession } from "#gateway/origin/origin-session";
import { searchedUnnamed } from "#policy/search/searched-unnamed";
import type { Permission } from "./authorize.ts";

/**
 * Notes the patients in a question, or in an entry of a bundle, once it is known which of them are the user's. It
 * refuses a question that names too many patients, or none where the user has too many.
 */
export async function nameAsked(
  { policy, access }: Permission,
  interaction: Interaction,
  origin: OriginSession,
): Promise<Result<undefined, RelateRefusal | NamingRefusal>> {
  const named = patientsNamed(interaction);
  const patients = new Set(named.map(({ patient }) => patient));
  if (patients.size <= namesMaxOfSystem) {
    const related = await origin.relate(patients, searchedUnnamed(policy, access, interaction));
    if (!related.ok) return related;
  }
  return origin.names.nameAsked(named, access);
}
