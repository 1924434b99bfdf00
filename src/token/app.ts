import { readAtMost } from "#entrypoint/bounded-body";
import { baseFields } from "#entrypoint/base-headers";
import { addressOf, continentOf, tlsClientAuthOf } from "#entrypoint/edge";
import { Router } from "#entrypoint/router";
import { TimelyBody } from "#entrypoint/timely-body";
import { afterConfiguration } from "#audit/after-configuration";
import { assertionRules } from "#identity/assertion";
import { clientAuthenticationMethods } from "#identity/client";
import { proofAlgorithms } from "#identity/proof";
import type { Clock } from "#kernel/clock";
import { Secret } from "#kernel/secret";
import { serveIntrospection, type IntrospectionPorts } from "./introspect.ts";
import type { IssuerArrival } from "./issuer-trail.ts";
import { serveRevocation, type RevocationPorts } from "./revoke.ts";
import { serveToken, type TokenPorts } from "./serve-token.ts";
import { tokenFormBytesMax } from "./token-request.ts";

export interface TokenAppPorts extends TokenPorts, IntrospectionPorts, RevocationPorts {
  /** The issuer: `https://host[:port]`. */
  readonly publicUrl: string;
  /** The host that asks for client certificates, if the issuer's own host does not: `https://host[:port]`. */
  readonly mtlsUrl: string | undefined;
  readonly clock: Clock;
  /** Puts the configuration of this isolate on record; undefined: that was done. Throws when it cannot. */
  readonly configured: () => Promise<void> | undefined;
  /** Lets work come to its end after the connection has ended. */
  readonly keepAlive: (work: Promise<unknown>) => void;
  /** Called with the kind of a fault, never with its message: the message may quote data. */
  readonly onFault: (fault: { readonly requestId: string; readonly name: string }) => void;
}

/**
 * The built-in issuer's HTTP surface, for `system/` clients only; people sign in at external issuers.
 * Without registry, guard or ledger there is no token: 503.
 */
export function tokenApp(ports: TokenAppPorts): Router {
  const router = new Router(ports);
  const arrivalOf = async (
    interaction: IssuerArrival["interaction"],
    raw: Request,
  ): Promise<IssuerArrival> => {
    const sent = raw.body && new TimelyBody(raw.body);
    const body = await readAtMost(sent, tokenFormBytesMax).then(
      (bytes) => bytes ?? "too_large",
      () => "incomplete" as const,
    );
    await sent?.dropRest();
    return {
      id: ports.newId(),
      at: ports.clock(), // time of the last byte: a slow sender is judged by the facts at the end
      interaction,
      contentType: raw.headers.get("content-type") ?? undefined,
      hasAuthorization: raw.headers.has("authorization"),
      body,
      tlsClientAuth: tlsClientAuthOf(raw),
      continent: continentOf(raw),
      address: addressOf(raw.headers),
    };
  };

  const portsOfOne = () => ({ ...ports, ledger: afterConfiguration(ports.ledger, ports.configured()) });

  /** A sender who breaks off ends the request. Its refusal still goes on record. */
  const onRecord = async (answer: Promise<Response>): Promise<Response> => {
    ports.keepAlive(answer.then(nothing, nothing));
    return await answer;
  };

  router.on("POST", "/oauth/token", (raw) => {
    const [own, proof] = [portsOfOne(), raw.headers.get("dpop")];
    const arrival = arrivalOf("token", raw);
    return onRecord(
      arrival.then((read) =>
        serveToken({ ...read, proof: proof === null ? undefined : new Secret(proof) }, own),
      ),
    );
  });
  const serve = { introspect: serveIntrospection, revoke: serveRevocation };
  for (const name of ["introspect", "revoke"] as const)
    router.on("POST", `/oauth/${name}`, (raw) => {
      const own = portsOfOne();
      return onRecord(arrivalOf(name, raw).then((read) => serve[name](read, own)));
    });
  const { "strict-transport-security": hsts = "", "x-content-type-options": nosniff = "" } = baseFields("");
  const headers = { "strict-transport-security": hsts, "x-content-type-options": nosniff };
  const keysPath = "/oauth/jwks";
  const metadataPath = "/.well-known/oauth-authorization-server";
  router.on("GET", keysPath, async () =>
    Response.json({ keys: await ports.issuer.publicKeys() }, { headers }),
  );
  router.on("GET", metadataPath, () => Response.json(metadata(ports), { headers }));
  for (const [allow, ...paths] of [
    ["POST", "/oauth/token", "/oauth/introspect", "/oauth/revoke"],
    ["GET, HEAD", keysPath, metadataPath],
  ] as const)
    for (const path of paths)
      router.on("*", path, () => router.problem(405, "Method Not Allowed", { allow }));
  return router;
}

const nothing = () => undefined;

/** RFC 8414 §2. The metadata list only supported features. */
function metadata({ publicUrl: issuer, mtlsUrl }: Pick<TokenAppPorts, "publicUrl" | "mtlsUrl">) {
  const algorithms = [...new Set(Object.values(assertionRules).flatMap((rules) => rules.algorithms))];
  const endpoints = (url: string) => ({
    token_endpoint: `${url}/oauth/token`,
    introspection_endpoint: `${url}/oauth/introspect`,
    revocation_endpoint: `${url}/oauth/revoke`,
  });
  return {
    issuer,
    ...endpoints(issuer),
    ...(mtlsUrl !== undefined && { mtls_endpoint_aliases: endpoints(mtlsUrl) }), // RFC 8705 §5
    jwks_uri: `${issuer}/oauth/jwks`,
    grant_types_supported: ["client_credentials"],
    response_types_supported: [], // REQUIRED, and there is no authorization endpoint
    token_endpoint_auth_methods_supported: clientAuthenticationMethods,
    token_endpoint_auth_signing_alg_values_supported: algorithms,
    introspection_endpoint_auth_methods_supported: clientAuthenticationMethods,
    introspection_endpoint_auth_signing_alg_values_supported: algorithms,
    revocation_endpoint_auth_methods_supported: clientAuthenticationMethods,
    revocation_endpoint_auth_signing_alg_values_supported: algorithms,
    scopes_supported: ["system/*.rs"],
    tls_client_certificate_bound_access_tokens: true,
    dpop_signing_alg_values_supported: proofAlgorithms,
  };
}
