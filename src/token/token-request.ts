import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";

/** A well-formed request for a token by client_credentials (RFC 6749 §4.4). */
export interface TokenRequest {
  readonly credential: ClientCredential;
  readonly scope: string | undefined;
  /** `purpose_of_use`: v3 ActReason codes, space separated. */
  readonly purposes: string | undefined;
  /** RFC 8707: the FHIR base of the token. */
  readonly resource: string | undefined;
}

/** The method by which the client proves itself, in addition to its certificate. */
export type ClientCredential =
  /** private_key_jwt (RFC 7523 §2.2). `clientId` only repeats the assertion (RFC 7521 §4.2). */
  | { readonly method: "private_key_jwt"; readonly assertion: Secret; readonly clientId: string | undefined }
  /** tls_client_auth (RFC 8705 §2.1): the certificate alone, and a name for its look-up. */
  | { readonly method: "tls_client_auth"; readonly clientId: string };

export type TokenRequestRefusal = {
  readonly reason:
    | "body_incomplete"
    | "form_type_not_supported"
    | "form_too_large"
    | "form_malformed"
    | "parameter_repeated"
    | "grant_type_missing"
    | "grant_type_not_supported"
    | "client_authentication_missing"
    | "client_authentication_not_supported"
    | "client_authentication_repeated"
    | "token_parameter_missing";
};

/**
 * A well-formed question about a token, or the wish to end it (RFC 7662 §2.1, RFC 7009 §2.1). A
 * `token_type_hint` is ignored.
 */
export interface TokenQuestion {
  readonly credential: ClientCredential;
  readonly token: Secret;
}

/** An assertion is at most 8 KiB (identity/jose/compact-jws), the rest a few hundred bytes. */
export const tokenFormBytesMax = 16_384;

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

type Form = (name: string) => string | undefined;

/**
 * Reads a form. Unknown parameters are ignored (RFC 6749 §3.2); a parameter without a value counts as
 * absent.
 */
function readForm({ contentType, body }: TokenMessage): Result<Form, TokenRequestRefusal> {
  if (body === "incomplete") return err({ reason: "body_incomplete" });
  if (contentType?.split(";")[0]?.trim().toLowerCase() !== "application/x-www-form-urlencoded")
    return err({ reason: "form_type_not_supported" });
  if (body === "too_large") return err({ reason: "form_too_large" });
  const text = new TextDecoder().decode(body);
  // Every value of this form is ASCII: a byte outside ASCII, escaped or not, is an error.
  if (!/^[\x21-\x7e]*$/u.test(text)) return err({ reason: "form_malformed" });
  const form = new URLSearchParams(text);
  if (new Set(form.keys()).size !== form.size) return err({ reason: "parameter_repeated" }); // RFC 6749 §3.2
  return ok((name) => form.get(name) || undefined);
}

/** The parts of a request at the issuer that name the caller and the question. */
export interface TokenMessage {
  readonly contentType: string | undefined;
  /** True for an `Authorization` field, even if it is empty. No client authenticates by that field here. */
  readonly hasAuthorization: boolean;
  /** `incomplete`: its sender broke off. */
  readonly body: Uint8Array | "too_large" | "incomplete";
}

/** Reads the body of `POST /oauth/introspect` and of `POST /oauth/revoke`. */
export function readTokenQuestion(message: TokenMessage): Result<TokenQuestion, TokenRequestRefusal> {
  const form = readForm(message);
  if (!form.ok) return form;
  const token = form.value("token");
  if (token === undefined) return err({ reason: "token_parameter_missing" });
  const credential = readCredential(form.value, message);
  return credential.ok ? ok({ credential: credential.value, token: new Secret(token) }) : credential;
}

/** Reads the body of `POST /oauth/token`. */
export function readTokenRequest(message: TokenMessage): Result<TokenRequest, TokenRequestRefusal> {
  const form = readForm(message);
  if (!form.ok) return form;
  const value = form.value;
  const grantType = value("grant_type");
  if (grantType === undefined) return err({ reason: "grant_type_missing" });
  if (grantType !== "client_credentials") return err({ reason: "grant_type_not_supported" });
  const credential = readCredential(value, message);
  if (!credential.ok) return credential;
  return ok({
    credential: credential.value,
    scope: value("scope"),
    purposes: value("purpose_of_use"),
    resource: value("resource"),
  });
}

function readCredential(
  value: Form,
  { hasAuthorization }: TokenMessage,
): Result<ClientCredential, TokenRequestRefusal> {
  const [assertion, type, clientId] = [
    value("client_assertion"),
    value("client_assertion_type"),
    value("client_id"),
  ];
  // RFC 6749 §2.3: a request has a single method. An ignored field would be an unchecked credential.
  if (hasAuthorization) {
    return err({
      reason:
        assertion === undefined ? "client_authentication_not_supported" : "client_authentication_repeated",
    });
  }
  if (value("client_secret") !== undefined || (type !== undefined && type !== assertionType)) {
    return err({ reason: "client_authentication_not_supported" });
  }
  if (assertion !== undefined && type !== undefined)
    return ok({ method: "private_key_jwt", assertion: new Secret(assertion), clientId });
  // Half an assertion is a mistake, not a second method.
  if (assertion !== undefined || type !== undefined || clientId === undefined)
    return err({ reason: "client_authentication_missing" });
  return ok({ method: "tls_client_auth", clientId });
}
