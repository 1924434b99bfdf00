import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import {
  arrayOf,
  eitherOf,
  fitting,
  integerIn,
  mapped,
  Misfit,
  objectOf,
  optional,
  textLike,
  textOf,
} from "#kernel/value-shape";
import { boundTo, type Unbound } from "./binding.ts";
import { claimAt, type TrustedIssuer } from "./issuer.ts";
import { purposePattern, type Purpose } from "./purpose.ts";
import { parseEnforceableScopes } from "./scopes.ts";
import {
  claimName,
  commonClaims,
  malformedClaim,
  withinTimes,
  type AccessToken,
  type AccessTokenRefusal,
} from "./token.ts";

/**
 * One hour: a token's statement about a person's session is believed for at most this long, whatever the
 * issuer's practice.
 */
export const externalLifetimeSecondsMax = 3_600;

export interface ExternalExpectation {
  /** The requested FHIR base, under each of the gateway's own names. */
  readonly bases: readonly string[];
  readonly at: Instant;
}

const externalClaims = objectOf({
  ...commonClaims,
  acr: optional(claimName),
  auth_time: optional(integerIn(0, 253_402_300_799)),
});
const scopeTokens = eitherOf(mapped(textOf(0, 4_096), words), arrayOf(claimName, 0, 256));
const purposeList = arrayOf(textLike(purposePattern), 1, 16);
const purposes = eitherOf(
  mapped(textOf(0, 300), (text) => purposeList(words(text))),
  purposeList,
);
// FHIR R4 §2.24.0.1, and no run of dots, which a URL parser would fold away.
const patientId = mapped(textLike(/^(?:Patient\/)?(?!\.+$)[A-Za-z0-9.-]{1,64}$/u), (text) =>
  text.replace("Patient/", ""),
);

/** Reads the claims of a token after its signature was proven by this issuer's own keys. */
export function readExternalToken(
  claims: Readonly<Record<string, unknown>>,
  issuer: TrustedIssuer,
  expected: ExternalExpectation,
): Result<AccessToken, AccessTokenRefusal> {
  const read = externalClaims(claims);
  if (read instanceof Misfit) return malformedClaim(read);
  const { iss, sub, jti, aud, exp, cnf, acr, auth_time: authTime } = read;

  if (iss !== issuer.iss) return err({ reason: "issuer_unknown" });
  if (!isFor(aud, issuer.audience, expected.bases)) return err({ reason: "audience_mismatch" });
  const times = withinTimes(read, expected.at, externalLifetimeSecondsMax);
  if (!times.ok) return times;
  // Without any `cnf` the client's entry decides if the token may be used. An empty or unknown `cnf` does
  // not count as "none".
  const binding = cnf === undefined ? ok<Unbound>({ kind: "none" }) : boundTo(cnf);
  if (!binding.ok) return binding;

  const mapped = readMapped(claims, issuer);
  if (!mapped.ok) return mapped;
  const namesBase = expected.bases.some((base) => aud.includes(base));
  return ok({
    issuer: iss,
    issuedHere: false,
    namesBase,
    subject: sub,
    id: jti,
    expires: instant(exp * 1000),
    binding: binding.value,
    acr,
    authTime,
    ...mapped.value,
  });
}

/**
 * The issuer's audience must be in the token's audience. A token that names FHIR bases of this gateway is
 * valid for these bases only. The client's grants limit the further places at which a token may be used.
 */
function isFor(aud: readonly string[], audience: string, bases: readonly string[]): boolean {
  const homes = bases.map((base) => base.slice(0, base.lastIndexOf("/") + 1));
  // Every spelling counts: `https://GATEWAY.example:443/v1/fhir/lab` names the lab, and gives no access to
  // the hospital.
  const isBase = (each: string) =>
    homes.some((home) => each.startsWith(home) || URL.parse(each)?.href.startsWith(home) === true);
  const named = aud.filter(isBase);
  return aud.includes(audience) && (named.length === 0 || named.some((each) => bases.includes(each)));
}

type Mapped = Pick<
  AccessToken,
  "client" | "scopes" | "purposes" | "patient" | "user" | "personName" | "patientIsUser"
>;

/** Reads the claims that an issuer names in its own way. */
function readMapped(
  claims: Readonly<Record<string, unknown>>,
  issuer: TrustedIssuer,
): Result<Mapped, AccessTokenRefusal> {
  const { client = "client_id", patient = "patient", fhirUser = "fhirUser", scope = "scope" } = issuer.claims;
  // RFC 9068 §2.2 has `client_id`; issuers that grew out of OpenID Connect say `azp`.
  const named = claimName(
    claimAt(claims, client) ?? (issuer.claims.client === undefined ? claimAt(claims, "azp") : undefined),
  );
  if (named instanceof Misfit) return malformed("client");
  const context = optional(patientId)(claimAt(claims, patient));
  if (context instanceof Misfit) return malformed("patient");
  const user = optional(claimName)(claimAt(claims, fhirUser));
  if (user instanceof Misfit) return malformed("fhirUser");
  const tokens = scopeTokens(claimAt(claims, scope));
  const scopes = tokens instanceof Misfit ? undefined : parseEnforceableScopes(tokens);
  if (scopes?.ok !== true) return malformed("scope");
  const why = readPurposes(claims, issuer.purpose);
  if (why === undefined) return malformed("purpose");
  return ok({
    client: named,
    scopes: scopes.value.scopes,
    purposes: why,
    patient: context,
    user,
    personName: fitting(claimName(claims["name"])),
    patientIsUser: issuer.claims.patientIsUser === true,
  });
}

/** Empty if the claim is missing; undefined if it is present and is no list of purposes. */
function readPurposes(
  claims: Readonly<Record<string, unknown>>,
  purpose: TrustedIssuer["purpose"],
): readonly Purpose[] | undefined {
  if ("fixed" in purpose) return purpose.fixed;
  const claim = claimAt(claims, purpose.claim);
  return claim === undefined ? [] : fitting(purposes(claim));
}

function words(text: string): string[] {
  return text.split(" ");
}

/** Names the claim as the registry does; never its value. */
const malformed = (claim: string): Result<never, AccessTokenRefusal> =>
  err({ reason: "claim_malformed", claim });
