import type { Context } from "oidc-provider";
import { r4Owners, r4Participants } from "#fhir/r4/compartment.gen";
import type { Person } from "./people.ts";

/** SMART App Launch 2: scopes for the user and the launch context. They permit no resource. */
export const launchScopes = ["openid", "fhirUser", "offline_access", "launch/patient"] as const;

/** The scopes that apps may request, as the provider publishes them: any type may replace `*`. */
export const appScopes: readonly string[] = [...launchScopes, "patient/*.rs", "patient/*.read"];

const types = ["*", ...new Set(["Patient", ...Object.keys(r4Owners), ...Object.keys(r4Participants)])];

/**
 * Every scope of a token for the FHIR base: reading and searching one patient's records. `read` is version
 * 1's form of `rs`.
 */
export const fhirScopes: readonly string[] = [
  ...launchScopes,
  ...types.flatMap((type) => ["rs", "r", "s", "read"].map((permission) => `patient/${type}.${permission}`)),
];

/** The purpose of a patient who reads their own record (HL7 v3 ActReason). */
const ownRequest = ["PATRQT"];

/**
 * The claims of an access token beyond RFC 9068: the patient, the user, the purpose, and the method and time
 * of the sign-in.
 */
export function accessTokenClaims(context: Context, person: Person): Readonly<Record<string, unknown>> {
  return {
    patient: person.patient,
    fhirUser: person.fhirUser,
    purpose_of_use: ownRequest,
    ...signInClaims(context),
  };
}

/** The method and time of the sign-in (RFC 9068 §2.2.1). */
export function signInClaims({ oidc }: Context): Readonly<Record<string, unknown>> {
  const { acr, amr, authTime } =
    oidc?.entities.RefreshToken ?? oidc?.entities.AuthorizationCode ?? oidc?.entities.DeviceCode ?? {};
  return { acr, amr, auth_time: authTime };
}

/**
 * The launch context that is returned with a token (SMART App Launch 2 §4.0.6), for apps that do not read
 * tokens.
 */
export function launchContext(person: Person, scope: string): Readonly<Record<string, string>> {
  const scopes = scope.split(" ");
  const ofPatient = scopes.some((each) => each.startsWith("patient/") || each === "launch/patient");
  return {
    ...(ofPatient && { patient: person.patient }),
    ...(scopes.includes("fhirUser") && { fhirUser: person.fhirUser }),
  };
}
