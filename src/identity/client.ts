import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Agreement } from "./agreement.ts";
import type { AssertionProfile } from "./assertion.ts";
import type { Binding } from "./binding.ts";
import type { BreakGlassDemand } from "./break-glass-demand.ts";
import type { Certificate } from "#identity/certificate/certificate";
import { hasRegisteredName, type RegisteredSubject } from "#identity/certificate/subject";
import type { PublicJwk } from "#identity/jose/jwk";
import type { Purpose } from "./purpose.ts";
import type { Home } from "#kernel/region";
import { equalInConstantTime } from "#kernel/constant-time";
import type { Scopes } from "./scopes.ts";

/**
 * Ways in which a client can authenticate at the built-in issuer, by their names in the OAuth registry (RFC
 * 8705 §2, OpenID Connect Core §9).
 */
export const clientAuthenticationMethods = [
  "private_key_jwt",
  "tls_client_auth",
  "self_signed_tls_client_auth",
] as const;

/** A client as registered: settled plain data, so that requests may share it. */
export interface ClientRecord {
  readonly id: string;
  readonly kind: string;
  readonly status: "active" | "suspended";
  /** The only accepted way to authenticate; no fallback exists. */
  readonly authentication: (typeof clientAuthenticationMethods)[number] | "external";
  /**
   * The only accepted binding of its tokens: its certificate, or (`dpop`) a key that it proves with each
   * request.
   */
  readonly tokensBoundTo: Binding["kind"];
  readonly assertionProfile: AssertionProfile;
  /** Keys of its assertions, if it authenticates by assertions, and of its signed requests. */
  readonly keys: readonly PublicJwk[];
  /** The URL at which it publishes its keys, if `keys` is empty. */
  readonly jwksUri?: string | undefined;
  /** For `external`: the issuer of the client's tokens, and that issuer's name for the client. */
  readonly external: ExternalName | undefined;
  /** FHIR id of the only patient that the client may see. */
  readonly patient: string | undefined;
  /** Identifiers of the organization behind the client, `system|value`. */
  readonly organization?: readonly string[] | undefined;
  /** The entity behind the client, as accountings name it. */
  readonly entity?: { readonly name: string } | undefined;
  /** The beginning of the ids that the client may choose for new resources. */
  readonly idPrefix?: string | undefined;
  /** Before this instant, unbound tokens of its external issuer are accepted. */
  readonly unboundUntil: Instant | undefined;
  /** Several at once for rotation. */
  readonly certificates: readonly RegisteredCertificate[];
  /** Names under an authority, each good for any certificate that carries it. */
  readonly certificateSubjects: readonly RegisteredSubject[];
  /** Web pages (`https://host[:port]`) with scripts that may read the answers to the client's requests. */
  readonly corsOrigins: readonly string[];
  /** Undefined: it is at home nowhere. */
  readonly home?: Home | undefined;
  readonly agreements: readonly Agreement[];
  /** No two grants have the same origin and purpose. */
  readonly grants: readonly ClientGrant[];
}

/**
 * The name of a client at an external issuer. Issuer and name identify a single client of the registry, or
 * none.
 */
export interface ExternalName {
  readonly issuer: string;
  readonly id: string;
}

export interface RegisteredCertificate {
  readonly x5t: string;
  /** Known if the certificate itself was registered; a bare thumbprint leaves its dates to the edge. */
  readonly from: Instant | undefined;
  readonly to: Instant | undefined;
}

/** The permissions of a client at an origin for a purpose. */
export interface ClientGrant {
  readonly origin: string;
  readonly purpose: Purpose;
  readonly agreement: string;
  readonly policyDigest: string;
  /** Each request must be signed by a key of the client (RFC 9421). */
  readonly signedRequests: boolean;
  /** Each answer is signed by the gateway (RFC 9421). */
  readonly signedResponses: boolean;
  /** Each write must have an `Idempotency-Key`. */
  readonly keyedWrites: boolean;
  /** The elements that leave are counted, for the review of the access. */
  readonly measureElements: boolean;
  /** The client may declare an emergency, after this sign-in. */
  readonly breakGlass?: BreakGlassDemand | undefined;
  readonly scopes: Scopes;
  readonly quotas: {
    readonly default: GrantQuota;
    /** A quota for each subject's own requests, in addition to the quota for all requests. */
    readonly perSubject?: GrantQuota | undefined;
    /** Here `requests` counts released resources. */
    readonly records?: GrantQuota | undefined;
  };
}

interface GrantQuota {
  readonly requests: number;
  readonly windowSeconds: number;
  /**
   * Grows with each change of the grant, so that a counter can tell an old answer of the registry from a
   * new answer.
   */
  readonly revision: number;
}

export type ClientRefusal = {
  readonly reason:
    | "client_suspended"
    | "certificate_missing"
    | "certificate_unverified"
    | "certificate_not_registered"
    | "certificate_outside_validity";
};

/**
 * Checks if the client may come with this certificate, or without any, at this moment. A client with
 * key-bound tokens needs none, and an unregistered certificate says nothing about that client. If the
 * client registered certificates, no different certificate may come in its name.
 */
export function admitClient(
  client: ClientRecord,
  certificate: Certificate | undefined,
  at: Instant,
): Result<ClientRecord, ClientRefusal> {
  if (client.status !== "active") return err({ reason: "client_suspended" });
  if (certificate?.voucher.kind === "itself" && client.authentication !== "self_signed_tls_client_auth")
    // this also holds for a client that needs no certificate: by the edge's word, the certificate has no
    // owner
    return err({ reason: "certificate_unverified" });
  const none = client.certificates.length === 0 && client.certificateSubjects.length === 0;
  if (client.tokensBoundTo === "key" && (certificate === undefined || none)) return ok(client);
  if (certificate === undefined) return err({ reason: "certificate_missing" });
  const registered =
    client.certificates.find(({ x5t }) => equalInConstantTime(x5t, certificate.x5t)) ??
    namedBy(client, certificate);
  if (registered === undefined) return err({ reason: "certificate_not_registered" });
  const { voucher } = certificate;
  const inTime = within(registered, at) && (voucher.kind === "authority" || within(voucher, at));
  return inTime ? ok(client) : err({ reason: "certificate_outside_validity" });
}

/** The edge checks the dates of a certificate that is registered by its name. */
function namedBy({ certificateSubjects }: ClientRecord, { voucher }: Certificate): Validity | undefined {
  return voucher.kind === "authority" &&
    certificateSubjects.some((subject) => hasRegisteredName(voucher, subject))
    ? {}
    : undefined;
}

interface Validity {
  readonly from?: Instant | undefined;
  readonly to?: Instant | undefined;
}

const within = ({ from = instant(0), to }: Validity, at: Instant): boolean =>
  at >= from && (to === undefined || at < to);
