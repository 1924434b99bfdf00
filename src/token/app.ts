import type { Hono } from "hono";
import { HonoBase } from "hono/hono-base";
import { TrieRouter } from "hono/router/trie-router";
import { readAtMost } from "#entrypoint/bounded-body";
import { baseFields, baseHeaders } from "#entrypoint/base-headers";
import { addressOf, continentOf, tlsClientAuthOf } from "#entrypoint/edge";
import { problemAnswer } from "#entrypoint/problem";
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
export function tokenApp(ports: TokenAppPorts): Hono {
  const app: Hono = new HonoBase({ router: new TrieRouter() });
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

  app.post("/oauth/token", ({ req: { raw } }) => {
    const [own, proof] = [portsOfOne(), raw.headers.get("dpop")];
    const arrival = arrivalOf("token", raw);
    return onRecord(
      arrival.then((read) =>
        serveToken({ ...read, proof: proof === null ? undefined : new Secret(proof) }, own),
      ),
    );
  });
  app.post("/oauth/introspect", ({ req: { raw } }) => {
    const ports = portsOfOne();
    return onRecord(arrivalOf("introspect", raw).then((read) => serveIntrospection(read, ports)));
  });
  app.post("/oauth/revoke", ({ req: { raw } }) => {
    const ports = portsOfOne();
    return onRecord(arrivalOf("revoke", raw).then((read) => serveRevocation(read, ports)));
  });
  const { "strict-transport-security": hsts = "", "x-content-type-options": nosniff = "" } = baseFields("");
  const safe = { "strict-transport-security": hsts, "x-content-type-options": nosniff };
  app.get("/oauth/jwks", async (context) =>
    context.json({ keys: await ports.issuer.publicKeys() }, 200, safe),
  );
  app.get("/.well-known/oauth-authorization-server", (context) => context.json(metadata(ports), 200, safe));
  for (const [allow, ...paths] of [
    ["POST", "/oauth/token", "/oauth/introspect", "/oauth/revoke"],
    ["GET, HEAD", "/oauth/jwks", "/.well-known/oauth-authorization-server"],
  ] as const)
    for (const path of paths)
      app.all(path, () => problem(ports.newId(), 405, "Method Not Allowed", { allow }));
  // The handler stands here and not in the mounting app: Hono's own answer is a 500, and it would log the
  // fault's message.
  app.onError((fault) => {
    const requestId = ports.newId();
    ports.onFault({ requestId, name: fault.name });
    return problem(requestId, 503, "Service Unavailable");
  });
  return app;
}

const nothing = () => undefined;

function problem(
  requestId: string,
  status: number,
  title: string,
  extra: Readonly<Record<string, string>> = {},
): Response {
  return problemAnswer(requestId, { title, status }, baseHeaders(requestId), extra);
}

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
