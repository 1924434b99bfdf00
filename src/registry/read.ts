import { isPrivateUrl } from "#fhir/loopback";
import { leadsBelow } from "#fhir/origin";
import type * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { isMetadataUrl, metadataUrls } from "#identity/issuer-metadata";
import { fits } from "#identity/jose/jwk";
import { signInPlace } from "./sign-in-place.ts";
import { neverAssumed } from "#identity/purpose";
import { changeDocument, type ChangeDocument } from "./change-document.ts";
import { registryDocument, type RegistryDocument } from "./document.ts";
import { firstProblem, invalid, pointer, type RegistryProblem } from "./problem.ts";
import { parseScopes } from "#identity/scopes";

/**
 * Reads a registry file by its schema, and refuses features that this version cannot enforce.
 * @param publicUrl the gateway's own `https://host[:port]`: it names the built-in issuer, for which no
 * registry entry may speak.
 */
export function readRegistry(
  document: unknown,
  publicUrl: string,
): Result<RegistryDocument, RegistryProblem> {
  const read = registryDocument.safeParse(document);
  if (!read.success) return err(problemOf(read.error));
  const wrong = unsupported(read.data) ?? inconsistent(read.data, publicUrl);
  return wrong === undefined ? ok(read.data) : err(wrong);
}

/** Reads a change of the registry by its schema. Pointers are into the change. */
export function readChange(document: unknown, publicUrl: string): Result<ChangeDocument, RegistryProblem> {
  const read = changeDocument.safeParse(document);
  if (!read.success) return err(problemOf(read.error));
  const { set } = read.data;
  const wrong = set && (unsupported(set) ?? inconsistent(set, publicUrl));
  return wrong === undefined ? ok(read.data) : err(inSet(wrong));
}

/** A problem of the file in `set` of a change. */
export const inSet = (problem: RegistryProblem): RegistryProblem => ({
  ...problem,
  pointer: `${pointer(["set"])}${problem.pointer}`,
});

/**
 * Zod's messages name the expected value, not the value in the file; the first issue is enough to correct
 * the file.
 */
function problemOf(error: z.ZodError): RegistryProblem {
  const [issue] = error.issues;
  if (issue === undefined) return invalid([], "not a registry file");
  const unknown = issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  return invalid([...issue.path, ...unknown], unknown.length > 0 ? "no such field" : issue.message);
}

/** A condition of a scope that this version cannot enforce. */
const unsupported = ({ grants }: RegistryDocument): RegistryProblem | undefined =>
  firstProblem(grants, ({ scopes }, i) => {
    const read = parseScopes(scopes);
    return read.ok || read.error.reason !== "scope_query_not_supported"
      ? undefined
      : {
          reason: "not_supported",
          pointer: pointer(["grants", i, "scopes"]),
          problem: "this version cannot enforce this condition of a scope",
        };
  });

/** Rules within an entry that a schema cannot express. */
const inconsistent = (
  { issuers, clients, agreements, grants, origins }: RegistryDocument,
  publicUrl: string,
): RegistryProblem | undefined =>
  firstProblem(issuers, (issuer, i) => issuerProblem(issuer, ["issuers", i], publicUrl)) ??
  firstProblem(clients, (client, i) => clientProblem(client, ["clients", i])) ??
  firstProblem(agreements, ({ from, to }, i) =>
    Date.parse(from) >= Date.parse(to) ? invalid(["agreements", i, "to"], "must be after from") : undefined,
  ) ??
  firstProblem(grants, ({ scopes, purpose, breakGlass }, i) => {
    if (!parseScopes(scopes).ok) return invalid(["grants", i, "scopes"], "must be a list of SMART scopes");
    return neverAssumed.has(purpose) === (breakGlass !== undefined)
      ? undefined
      : invalid(["grants", i, "breakGlass"], "must be given exactly for the purposes BTG and ETREAT");
  }) ??
  firstProblem(origins, ({ url, alsoKnownAs = [], storage = [] }, i) =>
    firstProblem(storage, ({ base }, n) => {
      const at = ["origins", i, "storage", n, "base"];
      if (!isPrivateUrl(new URL(base))) return invalid(at, "must use https, except on a loopback host");
      // Below a FHIR base stand resources, which are judged: raw, they would pass by each rule.
      return [url, ...alsoKnownAs, publicUrl].some((server) => meet(server, base))
        ? invalid(at, "must not overlap with a FHIR base or with the gateway's address")
        : undefined;
    }),
  ) ??
  firstProblem(origins, ({ url, alsoKnownAs = [], credentials, headers = {} }, i) => {
    if (!isPrivateUrl(new URL(url)))
      return invalid(["origins", i, "url"], "must use https, except on a loopback host");
    if ("authorization" in headers && "secret" in credentials)
      return invalid(["origins", i, "headers", "authorization"], "is written by the credentials");
    const again = alsoKnownAs.findIndex((name, at) => name === url || alsoKnownAs.indexOf(name) < at);
    return again === -1 ? undefined : invalid(["origins", i, "alsoKnownAs", again], "appears twice");
  });

/** Answers whether one of two URLs leads below the other, in any spelling. */
const meet = (one: string, other: string): boolean => leadsBelow(one, [other]) || leadsBelow(other, [one]);

/** Answers whether content of one origin's storage may be a row or content of another origin. */
export function storageMeets(one: StorageOwner, other: StorageOwner): boolean {
  const at = ({ url, alsoKnownAs = [] }: StorageOwner) => [url, ...alsoKnownAs];
  const stored = ({ storage = [] }: StorageOwner) => storage.map(({ base }) => base);
  return (
    stored(one).some((base) => [...at(other), ...stored(other)].some((place) => meet(base, place))) ||
    stored(other).some((base) => at(one).some((place) => meet(base, place)))
  );
}

type StorageOwner = Pick<RegistryDocument["origins"][number], "url" | "alsoKnownAs" | "storage">;

function issuerProblem(
  issuer: RegistryDocument["issuers"][number],
  at: readonly PropertyKey[],
  publicUrl: string,
): RegistryProblem | undefined {
  const { iss, jwks, jwksUri, introspection, algs, purpose } = issuer;
  // Any path counts: no other key may sign tokens that seem to come from the gateway's host.
  if (new URL(iss).origin === new URL(publicUrl).origin)
    return invalid([...at, "iss"], "must not be the gateway's own host");
  const keyed = jwks !== undefined || jwksUri !== undefined;
  if (!keyed && introspection === undefined)
    return invalid([...at, "jwks"], "is missing: an issuer needs jwks, jwksUri or introspection");
  if (keyed !== algs.length > 0)
    return invalid([...at, "algs"], "must be given exactly when the issuer has keys");
  if (jwks !== undefined && jwksUri !== undefined) return invalid([...at, "jwksUri"], keysTwice);
  if (jwksUri !== undefined && isMetadataUrl(jwksUri) && !metadataUrls(iss).includes(jwksUri))
    return invalid([...at, "jwksUri"], "is the metadata URL of a different issuer");
  const place = signInPlace(issuer);
  if (place?.capabilities.includes("sso-openid-connect") && place.jwks === undefined)
    // SMART App Launch 2.2, conformance
    return invalid([...at, "endpoints", "jwks"], "is needed with sso-openid-connect");
  const unkeyed = algs.findIndex((algorithm) => jwks?.keys.some((key) => fits(key, algorithm)) === false);
  if (unkeyed !== -1) return invalid([...at, "algs", unkeyed], "no key in jwks fits this algorithm");
  const assumed = "fixed" in purpose ? purpose.fixed.findIndex((each) => neverAssumed.has(each)) : -1;
  return assumed === -1
    ? undefined
    : invalid(
        [...at, "purpose", "fixed", assumed],
        "break-glass must come from a token claim, so it cannot be fixed",
      );
}

const keysTwice = "must not be given together with jwks";

type Client = RegistryDocument["clients"][number];
type FieldOfAuth = "jwks" | "issuer" | "externalClientId" | "patient" | "unboundUntil";

/** A client to which the gateway's own issuer gives the tokens. */
const ofOwnIssuer = {
  jwks: "optional",
  issuer: "none",
  externalClientId: "none",
  patient: "none",
  unboundUntil: "none",
} as const;

/**
 * The fields that each authentication method needs, and the fields that it must not have: an operator would
 * believe that an ignored field narrows something.
 */
const fieldsOf: Readonly<
  Record<Client["auth"], Readonly<Record<FieldOfAuth, "needed" | "optional" | "none">>>
> = {
  private_key_jwt: { ...ofOwnIssuer, jwks: "needed" },
  tls_client_auth: ofOwnIssuer,
  self_signed_tls_client_auth: ofOwnIssuer,
  external: {
    jwks: "optional",
    issuer: "needed",
    externalClientId: "needed",
    patient: "optional",
    unboundUntil: "optional",
  },
};

function clientProblem(client: Client, at: readonly PropertyKey[]): RegistryProblem | undefined {
  if (client.jwks !== undefined && client.jwksUri !== undefined)
    return invalid([...at, "jwksUri"], keysTwice);
  if (client.jwksUri !== undefined && isMetadataUrl(client.jwksUri))
    return invalid([...at, "jwksUri"], "is a metadata URL, and must be a URL of keys");
  for (const [field, rule] of Object.entries(fieldsOf[client.auth])) {
    const there =
      Reflect.get(client, field) !== undefined || (field === "jwks" && client.jwksUri !== undefined);
    if (rule === "needed" && !there) return invalid([...at, field], "is needed with this auth");
    if (rule === "none" && there) return invalid([...at, field], "is not allowed with this auth");
  }
  // The binding of the client's tokens, or its proof of identity: without either the client could never get
  // a token.
  const named = client.certificates.findIndex((certificate) => typeof certificate !== "string");
  if (named !== -1 && client.auth === "self_signed_tls_client_auth")
    return invalid(
      [...at, "certificates", named],
      "a self-signed certificate must be registered itself, not by a name",
    );
  const foreign = client.corsOrigins.findIndex((origin) => URL.parse(origin)?.origin !== origin);
  if (foreign !== -1)
    return invalid(
      [...at, "corsOrigins", foreign],
      "must be an origin as browsers write it, for example https://app.example.org",
    );
  const byCertificate = client.auth === "tls_client_auth" || client.auth === "self_signed_tls_client_auth";
  const needsCertificate = byCertificate || (!client.dpop && client.unboundUntil === undefined);
  return needsCertificate && client.certificates.length === 0
    ? invalid([...at, "certificates"], "at least one certificate is needed")
    : undefined;
}
