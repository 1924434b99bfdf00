import type { Interaction } from "#fhir/interaction";
import { isCompartmentType, ownerPathsOf } from "#fhir/r4/compartment-tables";
import { elementsOf } from "#fhir/r4/elements";
import { patientsHeld } from "#fhir/search/owner-parameter";
import type { Criteria } from "#fhir/search/search";
import type { CompiledPolicy } from "#policy/compile";
import { isById, isOpen, rowAccessOf, type Access } from "#policy/row-access";

/**
 * The types of which a question searches rows under the relations of a user and names no patient: all patients of the
 * user have to be known for it, or the origin has to find them. `any`: a type that the policy decides.
 */
export function searchedUnnamed(
  policy: CompiledPolicy,
  access: Access,
  interaction: Interaction,
): ReadonlySet<string> {
  const { usersPatients } = access;
  if (usersPatients === undefined || !isOpen(usersPatients)) return none;
  const isByRelation = (type: string, permission: "r" | "s") =>
    rowAccessOf(access, type, permission)?.some(({ owners }) => owners === usersPatients) === true;
  const inCriteria = ({ type, parameters, joins }: Criteria): readonly string[] => [
    ...(!isByRelation(type, "s")
      ? []
      : !isCompartmentType(type)
        ? isDirectory(policy, type)
          ? []
          : ["any"] // it is found by the rows that refer to it
        : parameters.some((parameter) => isById(parameter) || patientsHeld(type, parameter) !== undefined)
          ? []
          : [type]),
    ...joins.flatMap(({ of }) => of.flatMap(inCriteria)),
  ];
  switch (interaction.kind) {
    case "search":
    case "lastn":
      return new Set(inCriteria(interaction));
    case "conditional-update":
    case "conditional-patch":
    case "conditional-delete":
      return new Set(inCriteria(interaction.criteria));
    case "everything":
      return interaction.id === undefined ? any : none;
    case "read":
    case "vread": {
      const { type } = interaction;
      const isReferred = policy.rulesTo(type, "read").some(({ referredBy }) => referredBy.size > 0);
      const isOpened = isReferred && !isDirectory(policy, type);
      return isOpened && !isCompartmentType(type) && isByRelation(type, "r") ? any : none;
    }
    case "create":
    case "update":
    case "patch":
    case "delete":
    case "history":
    case "disclosures":
    case "validate":
    case "capabilities":
    case "fileConsent":
    case "revokeConsent":
    case "batch":
      return none;
  }
}

/**
 * Answers whether a question may meet rows of patients of whom the origin has to be asked: a row that is found without
 * its patient's name, or that names a patient beside the searched patient. The question alone decides it.
 */
export function mayHideStrangers(interaction: Interaction): boolean {
  switch (interaction.kind) {
    case "search":
      return (
        interaction.joins.length > 0 ||
        interaction.includes.length > 0 ||
        !hasOneOwner(interaction.type) ||
        !interaction.parameters.some((parameter) => patientsHeld(interaction.type, parameter) !== undefined)
      );
    case "read":
    case "vread":
    case "update":
    case "patch":
    case "delete":
      return interaction.type !== "Patient";
    case "history":
      return interaction.id !== undefined && interaction.type !== "Patient";
    case "lastn":
    case "everything":
    case "conditional-update":
    case "conditional-patch":
    case "conditional-delete":
      return true;
    case "create":
    case "disclosures":
    case "validate":
    case "capabilities":
    case "fileConsent":
    case "revokeConsent":
    case "batch":
      return false;
  }
}

/** Answers whether the policy opens resources of a type that no patient owns without a row that refers to them. */
const isDirectory = (policy: CompiledPolicy, type: string): boolean =>
  policy.rulesFor(type).some((rule) => rule.isDirectory);

/** Answers whether a row of the type names at most a single owner. */
function hasOneOwner(type: string): boolean {
  if (type === "Patient") return true;
  const [path, ...others] = ownerPathsOf(type).owners;
  const [name = "", ...below] = path ?? [];
  return others.length + below.length === 0 && elementsOf(type).get(name)?.repeats === false;
}

const none: ReadonlySet<string> = new Set();
const any: ReadonlySet<string> = new Set(["any"]);
