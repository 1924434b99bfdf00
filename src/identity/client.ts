import { instant, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { Agreement } from "./agreement.ts";
import type { AssertionProfile } from "./assertion.ts";
import type { Binding } from "./binding.ts";
import type { Certificate } from "#identity/certificate/certificate";
import { carries, type RegisteredSubject } from "#identity/certificate/subject";
import type { PublicJwk } from "#identity/jose/jwk";
import type { Purpose } from "./purpose.ts";
import { equalInConstantTime } from "#kernel/constant-time";
import type { Scopes } from "./scopes.ts";

/** How a client can prove itself at the built-in issuer, by the names of the OAuth registry (RFC 8705 §2, OpenID Connect Core §9). */
export const clientAuthenticationMethods = [
  "private_key_jwt",
  "tls_client_auth",
  "self_signed_tls_client_auth",
] as const;

/** A client as the registry has it: settled plain data, so that requests may share it. */
export interface ClientRecord {
  readonly id: string;
  readonly kind: string;
  readonly status: "active" | "suspended";
  /** Its one way to prove itself; never another one. */
  readonly authentication: (typeof clientAuthenticationMethods)[number] | "external";
  /** What its tokens are bound to, and nothing else: its certificate, or (`dpop`) a key that it proves with each request. */
  readonly tokensBoundTo: Binding["kind"];
  readonly assertionProfile: AssertionProfile;
  /** Of its assertions, where it authenticates by them, and of its signed requests. */
  readonly keys: readonly PublicJwk[];
  /** Where it publishes its keys, if `keys` has none. */
  readonly jwksUri?: string | undefined;
  /** Of `external`: whose tokens it brings, and what that issuer calls it. */
  readonly external: ExternalName | undefined;
  /** FHIR id of the one patient it is held to. */
  readonly patient: string | undefined;
  /** Until then, and not at it, tokens of its external issuer are taken that are bound to nothing. */
  readonly unboundUntil: Instant | undefined;
  /** Several at once for rotation. */
  readonly certificates: readonly RegisteredCertificate[];
  /** Names under an authority, each good for any certificate that carries it. */
  readonly certificateSubjects: readonly RegisteredSubject[];
  /** Web pages (`https://host[:port]`) whose scripts may read the answers to its requests. */
  readonly corsOrigins: readonly string[];
  readonly agreements: readonly Agreement[];
  /** At most one for an origin and a purpose. */
  readonly grants: readonly ClientGrant[];
}

/** The name of a client at an external issuer: together they name one client of the registry, or none. */
export interface ExternalName {
  readonly issuer: string;
  readonly id: string;
}

export interface RegisteredCertificate {
  readonly x5t: string;
  /** Known when the certificate itself was registered; a bare thumbprint leaves its dates to the edge. */
  readonly from: Instant | undefined;
  readonly to: Instant | undefined;
}

/** What a client may do at an origin for a purpose. */
export interface ClientGrant {
  readonly origin: string;
  readonly purpose: Purpose;
  readonly agreement: string;
  readonly policyDigest: string;
  /** Each request must be signed by one of the client's keys (RFC 9421). */
  readonly signedRequests: boolean;
  /** Each answer is signed by the gateway (RFC 9421). */
  readonly signedResponses: boolean;
  readonly scopes: Scopes;
  readonly quotas: {
    readonly default: GrantQuota;
    /** Each subject's own requests, beside those of all. */
    readonly perSubject?: GrantQuota | undefined;
    /** Of `requests` here each is a resource that is released. */
    readonly records?: GrantQuota | undefined;
  };
}

interface GrantQuota {
  readonly requests: number;
  readonly windowSeconds: number;
  /** Grows with each change of the grant, so that a counter can tell an old answer of the registry from a new one. */
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
 * Whether this client may come with this certificate, or without one, at this moment. One whose tokens are bound to a key needs none, and
 * one that it never registered says nothing about it; but where it registered some, no other may come in its name.
 */
export function admitClient(
  client: ClientRecord,
  certificate: Certificate | undefined,
  at: Instant,
): Result<ClientRecord, ClientRefusal> {
  if (client.status !== "active") return err({ reason: "client_suspended" });
  if (certificate?.voucher.kind === "itself" && client.authentication !== "self_signed_tls_client_auth")
    return err({ reason: "certificate_unverified" }); // also of a client that needs none: as the edge says it, it is nobody's
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

/** The edge vouches for the dates of a certificate that is known by its name. */
function namedBy({ certificateSubjects }: ClientRecord, { voucher }: Certificate): Validity | undefined {
  return voucher.kind === "authority" && certificateSubjects.some((subject) => carries(voucher, subject))
    ? {}
    : undefined;
}

interface Validity {
  readonly from?: Instant | undefined;
  readonly to?: Instant | undefined;
}

const within = ({ from = instant(0), to }: Validity, at: Instant): boolean =>
  at >= from && (to === undefined || at < to);
