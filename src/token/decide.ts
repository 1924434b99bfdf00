import { r4ResourceTypes } from "#fhir/r4/elements";
import type { AgreementRefusal } from "#identity/agreement";
import type { Binding } from "#identity/binding";
import type { ClientGrant, ClientRecord } from "#identity/client";
import { agreementOf } from "#identity/principal";
import { requestedPurposes, type Purpose, type PurposeRefusal } from "#identity/purpose";
import {
  intersectScopes,
  narrowScopes,
  parseEnforceableScopes,
  type ScopeRefusal,
  type Scopes,
} from "#identity/scopes";
import type { Instant } from "#kernel/clock";
import { rowFilterOf } from "#policy/scope-filters";
import { err, ok, type Result } from "#kernel/result";
import type { TokenRequest } from "./token-request.ts";

/** The content of a token for this client and this request. */
export interface Decision {
  readonly origin: string;
  readonly audience: string;
  readonly purposes: readonly Purpose[];
  readonly scopes: Scopes;
  /** Ids of the agreements in force on which it rests. */
  readonly agreements: readonly string[];
}

/** The addresses of the FHIR bases. */
export interface FhirBases {
  /** The base of an origin by the public name: the audience of tokens. */
  readonly fhirBase: (origin: string) => string;
  /** A base by each configured host name: a client with a certificate may know only the host that asks for it. */
  readonly namesOf: (base: string) => readonly string[];
}

export type DecisionRefusal =
  | { readonly reason: "target_unknown" | "target_not_chosen" }
  | PurposeRefusal
  | AgreementRefusal
  | ScopeRefusal;

/**
 * Decides from the registry alone: origin, purposes, agreements in force, scopes. Each of them can only
 * narrow the grants.
 */
export function decide(
  client: ClientRecord,
  request: TokenRequest,
  at: Instant,
  bases: FhirBases,
): Result<Decision, DecisionRefusal> {
  const origin = targetOf(client, request.resource, bases);
  if (!origin.ok) return origin;
  const there = client.grants.filter((grant) => grant.origin === origin.value);
  const purposes = requestedPurposes(
    request.purposes,
    there.map(({ purpose }) => purpose),
  );
  if (!purposes.ok) return purposes;

  const grants = there.filter(({ purpose }) => purposes.value.includes(purpose));
  const agreements: string[] = [];
  for (const grant of grants) {
    const agreement = agreementOf(client, grant, at);
    if (!agreement.ok) return agreement;
    agreements.push(agreement.value);
  }
  const scopes = scopesOf(grants, request.scope);
  if (!scopes.ok) return scopes;
  return ok({
    origin: origin.value,
    audience: bases.fhirBase(origin.value),
    purposes: purposes.value,
    scopes: scopes.value,
    agreements: [...new Set(agreements)],
  });
}

/** RFC 8707 §2: the named FHIR base, or the only base where the client has a grant. */
function targetOf(
  client: ClientRecord,
  resource: string | undefined,
  { fhirBase, namesOf }: FhirBases,
): Result<string, DecisionRefusal> {
  const origins = [...new Set(client.grants.map(({ origin }) => origin))];
  if (resource !== undefined) {
    const named = origins.find((origin) => namesOf(fhirBase(origin)).includes(resource));
    return named === undefined ? err({ reason: "target_unknown" }) : ok(named);
  }
  const [only] = origins;
  return only === undefined || origins.length > 1 ? err({ reason: "target_not_chosen" }) : ok(only);
}

/**
 * The requested scopes that can be enforced, if the grant of every purpose has them; by default the scopes
 * that all grants have. Only `system/`: no person signs in here, so no token names a patient.
 */
function scopesOf(
  grants: readonly ClientGrant[],
  requestedScope: string | undefined,
): Result<Scopes, ScopeRefusal> {
  const common = grants
    .map(({ scopes }) => scopes)
    .reduce(intersectScopes)
    .filter(isOfSystem);
  if (requestedScope === undefined)
    return common.length === 0 ? err({ reason: "scope_exceeds_grant" }) : ok(common);
  const requested = parseEnforceableScopes(requestedScope.split(" "));
  if (!requested.ok) return requested;
  const scopes = requested.value.scopes.filter(isJudged);
  // A scope whose condition no row can meet for certain would look granted and reach nothing.
  const unjudged = scopes.length < requested.value.scopes.length;
  const ignored =
    requested.value.ignored ?? (unjudged ? ({ reason: "scope_query_not_supported" } as const) : undefined);
  if (scopes.length === 0 && ignored !== undefined) return err(ignored);
  return scopes.every(isOfSystem)
    ? narrowScopes(scopes, common)
    : err({ reason: "scope_context_not_supported" });
}

/** The gateway can judge each condition of the scope on the rows of its type; of `*`, on those of some type. */
const isJudged = ({ type, filters }: Scopes[number]): boolean =>
  filters.length === 0 ||
  (type === "*" ? r4ResourceTypes : [type]).some((one) =>
    filters.every((filter) => rowFilterOf(one, filter) !== undefined),
  );

const isOfSystem = ({ context }: Scopes[number]): boolean => context === "system";

/**
 * RFC 6749 §7.1: the scheme of the token. A token with a certificate binding is a Bearer token (RFC 8705
 * §3), a token with a key binding is not.
 */
export const tokenTypes: Readonly<Record<Binding["kind"], string>> = { certificate: "Bearer", key: "DPoP" };
