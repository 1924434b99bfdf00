import { isPrivateUrl } from "#kernel/loopback";
import type * as z from "zod";
import { err, ok, type Result } from "#kernel/result";
import { isMetadataUrl, metadataUrls } from "#identity/issuer-metadata";
import { fits } from "#identity/jose/jwk";
import { signInPlace } from "./sign-in-place.ts";
import { neverAssumed } from "#identity/purpose";
import { changeDocument, type ChangeDocument } from "./change-document.ts";
import { registryDocument, type RegistryDocument } from "./document.ts";
import { pointer, type RegistryProblem } from "./problem.ts";
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
  if (issue === undefined) return { reason: "invalid", pointer: "", problem: "not a registry file" };
  const unknown = issue.code === "unrecognized_keys" ? issue.keys.slice(0, 1) : [];
  return {
    reason: "invalid",
    pointer: pointer([...issue.path, ...unknown]),
    problem: unknown.length > 0 ? "no such field" : issue.message,
  };
}

function not(path: readonly PropertyKey[], what: string): RegistryProblem {
  return { reason: "not_supported", pointer: pointer(path), problem: `this version cannot enforce ${what}` };
}

function bad(path: readonly PropertyKey[], problem: string): RegistryProblem {
  return { reason: "invalid", pointer: pointer(path), problem };
}

function unsupported({ grants }: RegistryDocument): RegistryProblem | undefined {
  for (const [i, { scopes }] of grants.entries()) {
    const read = parseScopes(scopes);
    if (read.ok) continue;
    if (read.error.reason === "scope_query_not_supported")
      return not(["grants", i, "scopes"], "this condition of a scope");
  }
  return undefined;
}

/** Rules within an entry that a schema cannot express. */
function inconsistent(
  { issuers, clients, agreements, grants, origins }: RegistryDocument,
  publicUrl: string,
): RegistryProblem | undefined {
  for (const [i, issuer] of issuers.entries()) {
    const problem = issuerProblem(issuer, ["issuers", i], publicUrl);
    if (problem !== undefined) return problem;
  }
  for (const [i, client] of clients.entries()) {
    const problem = clientProblem(client, ["clients", i]);
    if (problem !== undefined) return problem;
  }
  for (const [i, { from, to }] of agreements.entries()) {
    if (Date.parse(from) >= Date.parse(to)) return bad(["agreements", i, "to"], "must be after from");
  }
  for (const [i, { scopes, purpose, breakGlass }] of grants.entries()) {
    if (!parseScopes(scopes).ok) return bad(["grants", i, "scopes"], "must be a list of SMART scopes");
    if (neverAssumed.has(purpose) !== (breakGlass !== undefined))
      return bad(["grants", i, "breakGlass"], "must be given exactly for the purposes BTG and ETREAT");
  }
  for (const [i, { url, alsoKnownAs = [] }] of origins.entries()) {
    if (!isPrivateUrl(new URL(url)))
      return bad(["origins", i, "url"], "must use https, except on a loopback host");
    const again = alsoKnownAs.findIndex((name, at) => name === url || alsoKnownAs.indexOf(name) < at);
    if (again !== -1) return bad(["origins", i, "alsoKnownAs", again], "appears twice");
  }
  return undefined;
}

function issuerProblem(
  issuer: RegistryDocument["issuers"][number],
  at: readonly PropertyKey[],
  publicUrl: string,
): RegistryProblem | undefined {
  const { iss, jwks, jwksUri, introspection, algs, purpose } = issuer;
  // Any path counts: no other key may sign tokens that seem to come from the gateway's host.
  if (new URL(iss).origin === new URL(publicUrl).origin)
    return bad([...at, "iss"], "must not be the gateway's own host");
  const keyed = jwks !== undefined || jwksUri !== undefined;
  if (!keyed && introspection === undefined)
    return bad([...at, "jwks"], "is missing: an issuer needs jwks, jwksUri or introspection");
  if (keyed !== algs.length > 0)
    return bad([...at, "algs"], "must be given exactly when the issuer has keys");
  if (jwks !== undefined && jwksUri !== undefined) return bad([...at, "jwksUri"], keysTwice);
  if (jwksUri !== undefined && isMetadataUrl(jwksUri) && !metadataUrls(iss).includes(jwksUri))
    return bad([...at, "jwksUri"], "is the metadata URL of a different issuer");
  const place = signInPlace(issuer);
  if (place?.capabilities.includes("sso-openid-connect") && place.jwks === undefined)
    // SMART App Launch 2.2, conformance
    return bad([...at, "endpoints", "jwks"], "is needed with sso-openid-connect");
  const unkeyed = algs.findIndex((algorithm) => jwks?.keys.some((key) => fits(key, algorithm)) === false);
  if (unkeyed !== -1) return bad([...at, "algs", unkeyed], "no key in jwks fits this algorithm");
  const assumed = "fixed" in purpose ? purpose.fixed.findIndex((each) => neverAssumed.has(each)) : -1;
  return assumed === -1
    ? undefined
    : bad(
        [...at, "purpose", "fixed", assumed],
        "break-glass must come from a token claim, so it cannot be fixed",
      );
}

const keysTwice = "must not be given together with jwks";

type Client = RegistryDocument["clients"][number];

/**
 * The fields that each authentication method needs, and the fields that it must not have: an operator would
 * believe that an ignored field narrows something.
 */
const fieldsOf: Readonly<
  Record<
    Client["auth"],
    Readonly<
      Record<
        "jwks" | "issuer" | "externalClientId" | "patient" | "unboundUntil",
        "needed" | "optional" | "none"
      >
    >
  >
> = {
  private_key_jwt: {
    jwks: "needed",
    issuer: "none",
    externalClientId: "none",
    patient: "none",
    unboundUntil: "none",
  },
  tls_client_auth: {
    jwks: "optional",
    issuer: "none",
    externalClientId: "none",
    patient: "none",
    unboundUntil: "none",
  },
  self_signed_tls_client_auth: {
    jwks: "optional",
    issuer: "none",
    externalClientId: "none",
    patient: "none",
    unboundUntil: "none",
  },
  external: {
    jwks: "optional",
    issuer: "needed",
    externalClientId: "needed",
    patient: "optional",
    unboundUntil: "optional",
  },
};

function clientProblem(client: Client, at: readonly PropertyKey[]): RegistryProblem | undefined {
  if (client.jwks !== undefined && client.jwksUri !== undefined) return bad([...at, "jwksUri"], keysTwice);
  if (client.jwksUri !== undefined && isMetadataUrl(client.jwksUri))
    return bad([...at, "jwksUri"], "is a metadata URL, and must be a URL of keys");
  for (const [field, rule] of Object.entries(fieldsOf[client.auth])) {
    const there =
      Reflect.get(client, field) !== undefined || (field === "jwks" && client.jwksUri !== undefined);
    if (rule === "needed" && !there) return bad([...at, field], "is needed with this auth");
    if (rule === "none" && there) return bad([...at, field], "is not allowed with this auth");
  }
  // The binding of the client's tokens, or its proof of identity: without either the client could never get
  // a token.
  const named = client.certificates.findIndex((certificate) => typeof certificate !== "string");
  if (named !== -1 && client.auth === "self_signed_tls_client_auth")
    return bad(
      [...at, "certificates", named],
      "a self-signed certificate must be registered itself, not by a name",
    );
  const foreign = client.corsOrigins.findIndex((origin) => URL.parse(origin)?.origin !== origin);
  if (foreign !== -1)
    return bad(
      [...at, "corsOrigins", foreign],
      "must be an origin as browsers write it, for example https://app.example.org",
    );
  const byCertificate = client.auth === "tls_client_auth" || client.auth === "self_signed_tls_client_auth";
  const needsCertificate = byCertificate || (!client.dpop && client.unboundUntil === undefined);
  return needsCertificate && client.certificates.length === 0
    ? bad([...at, "certificates"], "at least one certificate is needed")
    : undefined;
}
