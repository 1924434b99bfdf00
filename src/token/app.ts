import { Hono } from "hono";
import { assertionRules } from "#identity/assertion";
import type { Clock } from "#kernel/clock";
import { serveToken, type TokenPorts } from "./serve-token.ts";
import { formBytesMax } from "./token-request.ts";

export interface TokenAppPorts extends TokenPorts {
  /** The issuer: `https://host[:port]`. */
  readonly publicUrl: string;
  readonly clock: Clock;
}

/** The built-in issuer's HTTP surface, for `system/` clients only; people sign in at external issuers. A fault throws to the app that mounts it. */
export function tokenApp(ports: TokenAppPorts): Hono {
  const app = new Hono();

  app.post("/oauth/token", async ({ req: { raw } }) => {
    const cf: unknown = Reflect.get(raw, "cf");
    return serveToken(
      {
        id: ports.newId(),
        at: ports.clock(),
        contentType: raw.headers.get("content-type") ?? undefined,
        body: await readAtMost(raw.body, formBytesMax),
        tlsClientAuth: typeof cf === "object" && cf !== null ? Reflect.get(cf, "tlsClientAuth") : undefined,
        address: raw.headers.get("cf-connecting-ip") ?? "",
      },
      ports,
    );
  });
  app.get("/oauth/jwks", async (context) => context.json({ keys: await ports.issuer.publicKeys() }));
  app.get("/.well-known/oauth-authorization-server", (context) => context.json(metadata(ports.publicUrl)));
  return app;
}

/** RFC 8414 §2: says only what is true. */
function metadata(issuer: string) {
  const algorithms = [...new Set(Object.values(assertionRules).flatMap((rules) => rules.algorithms))];
  return {
    issuer,
    token_endpoint: `${issuer}/oauth/token`,
    jwks_uri: `${issuer}/oauth/jwks`,
    grant_types_supported: ["client_credentials"],
    response_types_supported: [], // REQUIRED, and there is no authorization endpoint
    token_endpoint_auth_methods_supported: ["private_key_jwt"],
    token_endpoint_auth_signing_alg_values_supported: algorithms,
    scopes_supported: ["system/*.rs"],
    tls_client_certificate_bound_access_tokens: true,
  };
}

/** Stops one byte past the limit, so that a large body is seen to be too large and never held. */
async function readAtMost(body: ReadableStream<Uint8Array> | null, bytesMax: number): Promise<Uint8Array> {
  const bytes: number[] = [];
  for await (const chunk of body ?? []) {
    for (const byte of chunk.subarray(0, bytesMax + 1 - bytes.length)) bytes.push(byte);
    if (bytes.length > bytesMax) break;
  }
  return Uint8Array.from(bytes);
}
