import type { Context } from "oidc-provider";
import { r4Owners, r4Participants } from "#fhir/r4/compartment.gen";
import type { Person } from "./people.ts";

/** SMART App Launch 2: scopes that say who signed in and for whom. They open no resource. */
export const launchScopes = ["openid", "fhirUser", "offline_access", "launch/patient"] as const;

/** What apps are told that they may ask for: any type may stand in place of `*`. */
export const appScopes: readonly string[] = [...launchScopes, "patient/*.rs", "patient/*.read"];

const types = ["*", ...new Set(["Patient", ...Object.keys(r4Owners), ...Object.keys(r4Participants)])];

/** All that a token for the FHIR base may say: reading and searching what is one patient's; `read` is how version 1 says `rs`. */
export const fhirScopes: readonly string[] = [
  ...launchScopes,
  ...types.flatMap((type) => ["rs", "r", "s", "read"].map((permission) => `patient/${type}.${permission}`)),
];

/** The purpose for which people read their own record (HL7 v3 ActReason). */
const ownRequest = ["PATRQT"];

/** What an access token says beyond RFC 9068: whose record, who signed in, why, how and when. */
export function accessTokenClaims(context: Context, person: Person): Readonly<Record<string, unknown>> {
  return {
    patient: person.patient,
    fhirUser: person.fhirUser,
    purpose_of_use: ownRequest,
    ...signInClaims(context),
  };
}

/** How and when somebody signed in (RFC 9068 §2.2.1). */
export function signInClaims({ oidc }: Context): Readonly<Record<string, unknown>> {
  const { acr, amr, authTime } = oidc?.entities.RefreshToken ?? oidc?.entities.AuthorizationCode ?? {};
  return { acr, amr, auth_time: authTime };
}

/** The launch context beside a token (SMART App Launch 2 §4.0.6), for apps that do not read tokens. */
export function launchContext(person: Person, scope: string): Readonly<Record<string, string>> {
  const scopes = scope.split(" ");
  const ofPatient = scopes.some((each) => each.startsWith("patient/") || each === "launch/patient");
  return {
    ...(ofPatient && { patient: person.patient }),
    ...(scopes.includes("fhirUser") && { fhirUser: person.fhirUser }),
  };
}
