import { patientsSearchedFor } from "#fhir/search/match";
import type { ResourceType } from "#fhir/r4/elements";
import type { Interaction } from "./interaction.ts";
import type { Criteria } from "#fhir/search/search";

/** A patient named in a request, and the type of the rows that are searched by that name. */
export interface NamedPatient {
  readonly patient: string;
  readonly type: ResourceType;
}

/** The patients that a request names in its address, its criteria, and the criteria of its chains. */
export function patientsNamed(interaction: Interaction): readonly NamedPatient[] {
  switch (interaction.kind) {
    case "search":
    case "lastn":
      return namedBy(interaction);
    case "conditional-update":
    case "conditional-patch":
    case "conditional-delete":
      return namedBy(interaction.criteria);
    case "everything":
      return [
        ...(interaction.id === undefined ? [] : [{ patient: interaction.id, type: interaction.type }]),
        ...[...(interaction.criteria?.of ?? [])].flatMap(([type, parameters]) =>
          namedBy({ type, parameters, joins: [] }),
        ),
      ];
    case "read":
    case "vread":
    case "history":
    case "disclosures":
    case "update":
    case "patch":
    case "delete":
    case "validate":
      return interaction.type === "Patient" && interaction.id !== undefined
        ? [{ patient: interaction.id, type: "Patient" }]
        : [];
    case "create":
    case "capabilities":
    case "fileConsent":
    case "revokeConsent":
    case "batch":
      return [];
  }
}

/** The patients that criteria name. */
const namedBy = ({ type, parameters, joins }: Criteria): readonly NamedPatient[] => [
  ...[...patientsSearchedFor(type, parameters)].map((patient) => ({ patient, type })),
  ...joins.flatMap(({ of }) => of.flatMap(namedBy)),
];
