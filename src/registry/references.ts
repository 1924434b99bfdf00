import { parseScopes } from "#identity/scopes";
import { requestAlgorithm } from "#identity/request-signature";
import { clash, firstProblem, invalid, type RegistryProblem } from "./problem.ts";
import type {
  AgreementEntry,
  ClientEntry,
  GrantEntry,
  IssuerEntry,
  OriginEntry,
  RegistryState,
} from "./state.ts";

/** The entries of a file whose references are checked. */
interface ReferringEntries {
  readonly issuers: readonly IssuerEntry[];
  readonly clients: readonly ClientEntry[];
  readonly agreements: readonly AgreementEntry[];
  readonly grants: readonly GrantEntry[];
  readonly origins: readonly OriginEntry[];
}

type NamedEntries = Pick<RegistryState, "issuers" | "clients" | "agreements" | "origins" | "policies">;

/**
 * The first entry of a file that names an entry which is missing, or which does not fit it.
 *
 * @param all the entries of the registry and of the file together.
 */
export function referenceProblem(
  { issuers, clients, agreements, grants, origins }: ReferringEntries,
  all: NamedEntries,
): RegistryProblem | undefined {
  const ownerless = agreements.findIndex(({ client }) => !all.clients.has(client));
  return (
    externalProblem(clients, all) ??
    (ownerless === -1 ? undefined : missing(["agreements", ownerless, "client"])) ??
    signInProblem(issuers, origins, all) ??
    firstProblem(grants, (grant, i) => grantProblem(grant, all, ["grants", i]))
  );
}

/** Clients of unknown issuers, and two clients with the same name at the same issuer. */
function externalProblem(
  clients: readonly ClientEntry[],
  all: Pick<RegistryState, "issuers" | "clients">,
): RegistryProblem | undefined {
  const named = Map.groupBy(
    [...all.clients.values()].filter(({ issuer }) => issuer !== undefined),
    externalName,
  );
  for (const [i, client] of clients.entries()) {
    if (client.issuer === undefined) continue;
    if (!all.issuers.has(client.issuer)) return missing(["clients", i, "issuer"]);
    const others = named.get(externalName(client))?.filter(({ id }) => id !== client.id) ?? [];
    if (others.length > 0)
      return clash(["clients", i, "externalClientId"], "already names a different client of this issuer");
  }
  return undefined;
}

const externalName = ({ issuer, externalClientId }: ClientEntry): string =>
  JSON.stringify([issuer, externalClientId]);

/** An origin states all sign-in endpoints for apps, or none: never half of them. */
function signInProblem(
  issuers: readonly IssuerEntry[],
  origins: readonly OriginEntry[],
  all: Pick<RegistryState, "issuers" | "origins">,
): RegistryProblem | undefined {
  for (const [i, { signInAt }] of origins.entries()) {
    if (signInAt === undefined) continue;
    const issuer = all.issuers.get(signInAt);
    if (issuer === undefined) return missing(["origins", i, "signInAt"]);
    if (issuer.endpoints === undefined)
      return invalid(["origins", i, "signInAt"], "names an issuer without endpoints");
  }
  const needed = new Set([...all.origins.values()].map(({ signInAt }) => signInAt));
  const taken = issuers.findIndex(({ iss, endpoints }) => endpoints === undefined && needed.has(iss));
  return taken === -1
    ? undefined
    : invalid(["issuers", taken, "endpoints"], "are missing: an origin sends people here to sign in");
}

function grantProblem(
  grant: GrantEntry,
  all: Pick<RegistryState, "clients" | "agreements" | "origins" | "policies">,
  at: readonly PropertyKey[],
): RegistryProblem | undefined {
  const client = all.clients.get(grant.client);
  if (client === undefined) return missing([...at, "client"]);
  const scopes = parseScopes(grant.scopes);
  // The built-in issuer knows no patients: a token with this scope could never be issued.
  if (client.auth !== "external" && scopes.ok && scopes.value.some(({ context }) => context === "patient")) {
    return invalid([...at, "scopes"], "patient/ scopes need a client of an external issuer");
  }
  if (grant.signedRequests && !signs(client))
    return invalid([...at, "signedRequests"], "the client has no key with a kid that signs requests");
  if (!all.origins.has(grant.origin)) return missing([...at, "origin"]);
  const agreement = all.agreements.get(grant.agreement);
  if (agreement === undefined || agreement.client !== grant.client) return missing([...at, "agreement"]);
  const policy = all.policies.get(grant.policy);
  if (policy === undefined) return missing([...at, "policy"]);
  if (!agreement.purposes.includes(grant.purpose))
    return invalid([...at, "purpose"], "is not permitted by the agreement");
  if (isOfLimitedSet(policy) && agreement.kind !== "data-use")
    return invalid([...at, "agreement"], "a limited data set needs an agreement of the kind data-use");
  if (!policy.purposes.includes(grant.purpose))
    return invalid([...at, "purpose"], "is not a purpose of the policy");
  return undefined;
}

/** A registered policy stands without its document: the gateway asks the same again at each request. */
function isOfLimitedSet(policy: object): boolean {
  const form: unknown = "body" in policy ? Reflect.get(Object(policy.body), "form") : undefined;
  return Reflect.get(Object(form), "kind") === "limited-data-set";
}

/** A key set at a URL may change tomorrow, so its presence alone counts. */
const signs = ({ jwks, jwksUri }: ClientEntry): boolean =>
  jwksUri !== undefined ||
  jwks?.keys.some((key) => key.kid !== undefined && requestAlgorithm(key) !== undefined) === true;

const missing = (path: readonly PropertyKey[]): RegistryProblem =>
  invalid(path, "is neither in this file nor registered");
