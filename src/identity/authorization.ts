import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";

export type Scheme = "bearer" | "dpop";

/** An access token as presented: unproven. */
export interface Presented {
  readonly scheme: Scheme;
  readonly token: Secret;
}

export type AuthorizationRefusal = {
  readonly reason: "authorization_malformed" | "authorization_scheme_unknown";
};

// RFC 9110 §11.4, RFC 6750 §2.1
const authorization = /^(?<scheme>[!#$%&'*+.^_`|~0-9A-Za-z-]+) +(?<token>[A-Za-z0-9._~+/=-]+)$/u;

/**
 * Reads `Authorization`. Two such headers arrive joined by a comma, which no token contains, so they are
 * refused too.
 */
export function readAuthorization(
  header: string | null,
): Result<Presented | undefined, AuthorizationRefusal> {
  if (header === null) return ok(undefined);
  const parts = authorization.exec(header)?.groups;
  if (parts?.["scheme"] === undefined || parts["token"] === undefined)
    return err({ reason: "authorization_malformed" });
  const scheme = parts["scheme"].toLowerCase(); // RFC 9110 §11.1: in any letter case
  if (scheme !== "bearer" && scheme !== "dpop") return err({ reason: "authorization_scheme_unknown" });
  return ok({ scheme, token: new Secret(parts["token"]) });
}
