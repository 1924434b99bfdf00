import { parseReference, type FhirBase } from "#fhir/r4/reference";

/** The facts of a token that show which person signed in. */
export interface TokenPerson {
  readonly purpose: string;
  /** Id of the token's patient. */
  readonly patient: string | undefined;
  /** `fhirUser`. */
  readonly user: string | undefined;
  /** See `Principal.patientIsUser`. */
  readonly patientIsUser?: boolean | undefined;
}

/**
 * The id of the patient who asks for their own records: the token is of that patient, the purpose is the
 * individual's request, and the patient is the person who signed in. A representative or a relative is a person
 * of their own, and gets a token of the patient too. A `fhirUser` therefore names the patient at this origin, and
 * a token without one counts only if the registry says that its patient is the user.
 * @param bases the FHIR bases of the origin: the gateway's and the server's own.
 */
export function individualOf(
  { purpose, patient, user, patientIsUser = false }: TokenPerson,
  bases: FhirBase,
): string | undefined {
  if (purpose !== "PATRQT" || patient === undefined) return undefined;
  if (user === undefined) return patientIsUser ? patient : undefined;
  const named = parseReference(user, bases);
  return named.kind === "local" && named.type === "Patient" && named.id === patient ? patient : undefined;
}
