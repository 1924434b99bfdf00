import { errors, type Context } from "oidc-provider";
import { parseScopes } from "#identity/scopes";
import type { AppUser } from "./people.ts";

/** SMART App Launch 2: scopes for the user and the launch context. They permit no resource. */
const launchScopes = [
  "openid",
  "fhirUser",
  "offline_access",
  "online_access",
  "launch",
  "launch/patient",
] as const;

/** The scopes that apps and machines may request, as the provider publishes them: any type may replace `*`. */
export const publishedScopes: readonly string[] = [
  ...launchScopes,
  "patient/*.rs",
  "patient/*.read",
  "user/*.rs",
  "system/*.rs",
];

/**
 * The requested scopes that an app's token for the FHIR base may have: those of the sign-in, and reading and
 * searching, also by conditions (`?category=…`), and for a patient's app adding. The registry's grant narrows them at
 * the gateway.
 */
export const appScopes = (requested: Iterable<string>): readonly string[] =>
  [...requested].filter((scope) => launchScopes.some((own) => own === scope) || onlyReadsOrAdds(scope));

function onlyReadsOrAdds(scope: string): boolean {
  const parsed = parseScopes(scope);
  return (
    parsed.ok &&
    parsed.value.every(
      ({ context, permissions }) =>
        context !== "system" &&
        permissions.every((each) => (context === "patient" ? "crs" : "rs").includes(each)),
    )
  );
}

/** The requested scopes that a machine may have. The registry's grant narrows them at the gateway. */
export function machineScopes(requested = ""): string {
  const scopes = requested
    .split(" ")
    .filter((scope) => scope.startsWith("system/") && parseScopes(scope).ok)
    .join(" ");
  // SMART Backend Services: the answer names at least one scope
  if (scopes === "") throw new errors.InvalidScope("no system/ scope is requested", requested);
  return scopes;
}

/** Purposes (HL7 v3 ActReason): of a patient who reads their own record, and of a user who treats. */
const [ownRequest, treatment] = [["PATRQT"], ["TREAT"]];

/**
 * The claims of an access token beyond RFC 9068: the patient, the user, the purpose, and the method and time
 * of the sign-in.
 */
export function accessTokenClaims(
  context: Context,
  { fhirUser }: AppUser,
  patient: string | undefined,
): Readonly<Record<string, unknown>> {
  return {
    patient,
    fhirUser,
    purpose_of_use: fhirUser.startsWith("Patient/") ? ownRequest : treatment,
    ...signInClaims(context),
  };
}

/** The method and time of the sign-in (RFC 9068 §2.2.1). */
export function signInClaims(context: Context): Readonly<Record<string, unknown>> {
  const { acr, amr, authTime } = signInOf(context) ?? {};
  return { acr, amr, auth_time: authTime };
}

/** The sign-in on which a token rests. */
export const signInOf = ({ oidc }: Context) =>
  oidc?.entities.RefreshToken ?? oidc?.entities.AuthorizationCode ?? oidc?.entities.DeviceCode;

/**
 * The launch context that is returned with a token (SMART App Launch 2 §4.0.6), for apps that do not read
 * tokens. The page from which an app is launched is gone, so the app shows whose record it is.
 */
export function launchContext(
  { fhirUser }: AppUser,
  patient: string | undefined,
  scope: string,
): Readonly<Record<string, unknown>> {
  const scopes = scope.split(" ");
  const ofPatient = scopes.some((each) => each.startsWith("patient/") || each.startsWith("launch"));
  return {
    ...(ofPatient && patient !== undefined && { patient, need_patient_banner: true }),
    ...(scopes.includes("fhirUser") && { fhirUser }),
  };
}
