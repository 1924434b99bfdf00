import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { inForce, type AgreementRefusal } from "./agreement.ts";
import type { Binding, Unbound } from "./binding.ts";
import { declaredEmergency, type BreakGlassRefusal, type DeclaredEmergency } from "./break-glass.ts";
import type { Certificate } from "#identity/certificate/certificate";
import { admitClient, type ClientGrant, type ClientRecord, type ClientRefusal } from "./client.ts";
import { choosePurpose, requestedPurposes, type Purpose, type PurposeRefusal } from "./purpose.ts";
import type { Proof } from "./proof.ts";
import { equalInConstantTime } from "#kernel/constant-time";
import { limitToPatient, intersectScopes, type Scopes } from "./scopes.ts";
import type { AccessToken, ProvenToken } from "./token.ts";

/** The caller, its purpose and its grant: all proven. */
export interface Principal {
  readonly client: ClientRecord;
  readonly purpose: Purpose;
  readonly grant: ClientGrant;
  /** Id of the agreement in force. */
  readonly agreement: string;
  /** Token ∩ grant at this moment: a grant narrowed after the token was made narrows the token. */
  readonly scopes: Scopes;
  /** FHIR id of the token's patient: present if a scope is limited to a patient. */
  readonly patient: string | undefined;
  readonly issuer: string;
  readonly subject: string;
  /** `fhirUser`: the person who signed in. */
  readonly user: string | undefined;
  /**
   * The registry says that the person who signs in is the token's patient: its issuer's entry does, or the
   * client's entry names the patient. It counts for a token without `fhirUser` only.
   */
  readonly patientIsUser?: boolean | undefined;
  readonly tokenId: string;
  readonly tokenExpires: Instant;
  /** `kid` of the key that proved the token, if it has a `kid`. */
  readonly keyId: string | undefined;
  /**
   * `x5t#S256` of the verified certificate of this connection; present if the token is bound to a
   * certificate.
   */
  readonly certificate: string | undefined;
  /**
   * The proof of the key that the token is bound to, if it is bound to a key. Its first use is not
   * established yet.
   */
  readonly proof: Proof | undefined;
  /** The token is unbound, and a dated exception in the registry admitted it. */
  readonly unbound: boolean;
  /** Present exactly for a break-glass purpose. */
  readonly emergency?: DeclaredEmergency | undefined;
  /** Id of the stored authority under which a job acts; absent for a live caller. */
  readonly authority?: string | undefined;
}

export type PrincipalRefusal =
  | BreakGlassRefusal
  | ClientRefusal
  | AgreementRefusal
  | PurposeRefusal
  | {
      readonly reason:
        | "certificate_missing"
        | "certificate_mismatch"
        | "proof_missing"
        | "binding_mismatch"
        | "token_unbound"
        | "client_unknown";
    }
  | { readonly reason: "grant_missing"; readonly purpose: Purpose }
  /**
   * A scope or the client is limited to a patient, and the token names no patient, or a different patient.
   */
  | { readonly reason: "patient_missing" | "patient_mismatch" | "patient_origin_unknown" };

export interface Evidence {
  readonly token: ProvenToken;
  readonly certificate: Certificate | undefined;
  readonly proof: Proof | undefined;
  /** The record of `token.client`, as its issuer names the client. */
  readonly client: ClientRecord | undefined;
  readonly origin: string;
  /** `Phylax-Purpose`. */
  readonly purpose: string | undefined;
  /** `Phylax-Justification`. */
  readonly justification?: string | undefined;
  readonly at: Instant;
}

/** Joins a proven token, a verified certificate or a proven key, and the registry into the principal. */
export function identify({
  token,
  certificate,
  proof,
  client,
  origin,
  purpose,
  justification,
  at,
}: Evidence): Result<Principal, PrincipalRefusal> {
  const bound = confirmed(token.binding, certificate, proof);
  if (!bound.ok) return bound;
  if (client === undefined || !isClientOf(token, client)) return err({ reason: "client_unknown" });
  const unbound = token.binding.kind === "none";
  if (unbound && (client.unboundUntil === undefined || at >= client.unboundUntil))
    return err({ reason: "token_unbound" });
  if (!unbound && client.tokensBoundTo !== token.binding.kind) return err({ reason: "binding_mismatch" });
  const admitted = unbound ? admitUnbound(client, certificate, at) : admitClient(client, certificate, at);
  if (!admitted.ok) return admitted;

  const granted = client.grants.filter((each) => each.origin === origin);
  const within =
    token.purposes.length > 0
      ? ok(token.purposes)
      : requestedPurposes(
          undefined,
          granted.map((each) => each.purpose),
        );
  if (!within.ok) return within;
  const chosen = choosePurpose(purpose, within.value);
  if (!chosen.ok) return chosen;
  const grant = granted.find((each) => each.purpose === chosen.value);
  if (grant === undefined) return err({ reason: "grant_missing", purpose: chosen.value });
  const agreement = agreementOf(client, grant, at);
  if (!agreement.ok) return agreement;

  const scopes = scopesOf(token, client, grant);
  if (!scopes.ok) return scopes;
  const emergency = declaredEmergency(chosen.value, grant.breakGlass, token, justification, at);
  if (!emergency.ok) return emergency;

  return ok({
    client,
    purpose: chosen.value,
    grant,
    agreement: agreement.value,
    scopes: scopes.value,
    patient: token.patient,
    issuer: token.issuer,
    subject: token.subject,
    user: token.user,
    patientIsUser: token.patientIsUser === true || client.patient !== undefined,
    tokenId: token.id,
    tokenExpires: token.expires,
    keyId: token.keyId,
    certificate: certificate?.x5t,
    proof: token.binding.kind === "key" ? proof : undefined,
    unbound,
    ...(emergency.value && { emergency: emergency.value }),
  });
}

/**
 * The first moment after `at` at which `identify` may decide differently about the same evidence. Until then
 * the time lies on the same side of every date that `identify` compares it with: the end of an exception for
 * unbound tokens, and the validity of certificates and agreements.
 */
export function nextDate(client: ClientRecord, certificate: Certificate | undefined, at: Instant): Instant {
  let next: number = Infinity;
  const consider = (date: Instant | undefined): void => {
    if (date !== undefined && date > at && date < next) next = date;
  };
  consider(client.unboundUntil);
  for (const { from, to } of [...client.certificates, ...client.agreements]) {
    consider(from);
    consider(to);
  }
  if (certificate?.voucher.kind === "itself") {
    consider(certificate.voucher.from);
    consider(certificate.voucher.to);
  }
  return instant(next);
}

/**
 * True if a principal that was identified again has the same grant and scopes as before: an answer was made
 * for exactly that grant.
 */
export function hasSameGround(now: Principal, before: Principal): boolean {
  const ground = ({ client, purpose, grant, agreement, scopes, patient, user, patientIsUser }: Principal) =>
    JSON.stringify([
      client.id,
      purpose,
      grant.policyDigest,
      grant.signedRequests,
      agreement,
      scopes,
      patient,
      user,
      patientIsUser,
    ]);
  return ground(now) === ground(before);
}

/** Checks that the sender holds the certificate or key that the token is bound to. */
function confirmed(
  binding: Binding | Unbound,
  certificate: Certificate | undefined,
  proof: Proof | undefined,
): Result<Binding | Unbound, PrincipalRefusal> {
  switch (binding.kind) {
    case "certificate": // RFC 8705 §3
      if (certificate === undefined) return err({ reason: "certificate_missing" });
      return equalInConstantTime(binding.x5t, certificate.x5t)
        ? ok(binding)
        : err({ reason: "certificate_mismatch" });
    case "key": // RFC 9449 §7.1
      return proof !== undefined && equalInConstantTime(binding.jkt, proof.jkt)
        ? ok(binding)
        : err({ reason: "proof_missing" });
    // RFC 6750 §1.2: an unbound token has nothing to hold. The client's entry decides if it is admitted.
    case "none":
      return ok(binding);
  }
}

/**
 * An unbound token asks no less of the connection: if certificates are registered, the connection must have
 * a registered certificate.
 */
function admitUnbound(
  client: ClientRecord,
  certificate: Certificate | undefined,
  at: Instant,
): Result<ClientRecord, ClientRefusal> {
  const registered = client.certificates.length > 0 || client.certificateSubjects.length > 0;
  return admitClient({ ...client, tokensBoundTo: registered ? "certificate" : "key" }, certificate, at);
}

/**
 * Each issuer speaks only for its own clients: the built-in issuer for clients by registry id, an external
 * issuer for clients registered under it.
 */
function isClientOf(token: AccessToken, { id, authentication, external }: ClientRecord): boolean {
  if (token.issuedHere) return authentication !== "external" && id === token.client;
  return authentication === "external" && external?.issuer === token.issuer && external.id === token.client;
}

/** Token ∩ grant. A client limited to a patient has no wider scope, whatever its grant has. */
function scopesOf(
  token: AccessToken,
  client: ClientRecord,
  grant: ClientGrant,
): Result<Scopes, PrincipalRefusal> {
  const common = intersectScopes(token.scopes, grant.scopes);
  const limited = client.patient === undefined ? common : limitToPatient(common);
  // Without a patient a `patient/` scope grants nothing; the token's remaining scopes stand.
  const scopes =
    token.patient === undefined && client.patient === undefined && !limited.every(isOfPatient)
      ? limited.filter((scope) => !isOfPatient(scope))
      : limited;
  const needed = client.patient !== undefined || scopes.some(isOfPatient);
  const byUser = scopes.some(({ context }) => context === "user") && !(token.user ?? "").startsWith("https:");
  if (needed && token.patient === undefined) return err({ reason: "patient_missing" });
  // An id means a patient, or a user, of a single origin; at a second origin the same id is a different
  // person.
  const origins = new Set(client.grants.map(({ origin }) => origin));
  if ((needed || byUser) && origins.size > 1 && !token.namesBase)
    return err({ reason: "patient_origin_unknown" });
  if (!needed || token.patient === undefined) return ok(scopes);
  if (client.patient !== undefined && !equalInConstantTime(client.patient, token.patient))
    return err({ reason: "patient_mismatch" });
  return ok(scopes);
}

const isOfPatient = ({ context }: Scopes[number]): boolean => context === "patient";

/** Id of the agreement of a grant, if the agreement is in force for the grant's purpose. */
export function agreementOf(
  client: ClientRecord,
  grant: ClientGrant,
  at: Instant,
): Result<string, AgreementRefusal> {
  const agreement = client.agreements.find(({ id }) => id === grant.agreement);
  if (agreement === undefined) return err({ reason: "purpose_not_in_agreement", agreement: grant.agreement });
  const force = inForce(agreement, grant.purpose, at);
  return force.ok ? ok(agreement.id) : force;
}
