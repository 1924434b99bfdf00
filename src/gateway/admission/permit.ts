import type { Interaction } from "#fhir/interaction";
import type { ResourceType } from "#fhir/r4/elements";
import { searchParametersOf } from "#fhir/search/parameters";
import type { SearchParameter } from "#fhir/search/search";
import { ResolvedFacts, type FactPorts } from "#gateway/facts/resolved-facts";
import type { GrantOf } from "#gateway/facts/targets-at-origin";
import type { RelateRefusal } from "#gateway/origin/asking";
import type { NamingRefusal } from "#gateway/origin/named-patients";
import type { OriginSession } from "#gateway/origin/origin-session";
import type { Principal } from "#identity/principal";
import type { Instant } from "#kernel/clock";
import { ok, type Result } from "#kernel/result";
import type { CompiledPolicy } from "#policy/compile";
import type { Grant } from "#policy/grant";
import { showsInEachRule } from "#policy/relations";
import { noLabelReferred } from "#policy/sensitivity/referred-labels";
import { authorizeReading, authorizeRows, type Permission } from "./authorize.ts";
import { nameAsked } from "./name-asked.ts";

/**
 * Finds out which patients the caller's scopes mean, and gives the session the facts by which it judges rows. It
 * refuses a question that names too many patients.
 */
export async function permit(
  policy: CompiledPolicy,
  who: Principal,
  interaction: Interaction,
  origin: OriginSession,
  at: Instant,
  ports: FactPorts,
): Promise<Result<Permission, RelateRefusal | NamingRefusal>> {
  const traits = await origin.traits();
  const grantOf: GrantOf = (type, ids) =>
    authorizeRows(permission, { ...everyRow, type, parameters: byId(type, ids) });
  const question = { policy, who, interaction, origin, traits, at };
  const facts = new ResolvedFacts(question, ports, grantOf, (type) => grantsToSee(permission, type));
  const permission: Permission = {
    policy,
    access: {
      ...facts.books,
      scopes: who.scopes,
      patient: who.patient,
      purpose: who.purpose,
      clientKind: who.client.kind,
      shows: showsInEachRule(policy),
      consentsAreOrigins: traits?.consents?.verified !== undefined,
      actorsAreRead: traits?.consents !== undefined,
      at,
      idPrefix: who.client.idPrefix,
    },
  };
  origin.judgeBy(facts);
  const naming = await nameAsked(permission, interaction, origin);
  return naming.ok ? ok(permission) : naming;
}

/** The grants by which a caller sees single resources of a type, each judged by itself. */
function grantsToSee({ policy, access }: Permission, type: ResourceType): readonly Grant[] {
  const alone = { policy, access: { ...access, referred: noLabelReferred } };
  return [
    authorizeReading(alone, { kind: "read", type, id: "-" }),
    authorizeRows(alone, { ...everyRow, type, parameters: [] }),
  ].flatMap((grant) => (grant.ok ? [grant.value] : []));
}

const everyRow = { joins: [], includes: [], sort: [], count: undefined, posted: true };

function byId(type: string, ids: readonly string[]): readonly SearchParameter[] {
  const definition = searchParametersOf(type).get("_id");
  const values = ids.map((id) => ({ kind: "token" as const, text: id, system: undefined, code: id }));
  return definition === undefined ? [] : [{ definition, values }];
}
