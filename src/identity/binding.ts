import { sha256Form } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";

/**
 * The certificate or key that a token is bound to: the sender of the token must show that it holds it (RFC
 * 7800 §3.1).
 */
export type Binding =
  /** `cnf["x5t#S256"]` (RFC 8705 §3.1): the certificate of the connection. */
  | { readonly kind: "certificate"; readonly x5t: string }
  /** `cnf.jkt` (RFC 9449 §6.1): the key of a DPoP proof. */
  | { readonly kind: "key"; readonly jkt: string };

/**
 * In place of a binding: any holder can use an unbound token, so only a dated exception in the registry
 * admits it.
 */
export interface Unbound {
  readonly kind: "none";
}

export type BindingRefusal = { readonly reason: "token_unbound" | "binding_not_supported" };

/** Reads `cnf`. A bearer token is refused (FAPI 2.0 §5.3.3). */
export function boundTo(cnf: Readonly<Record<string, unknown>> | undefined): Result<Binding, BindingRefusal> {
  const [member, ...others] = Object.entries(cnf ?? {});
  if (member === undefined) return err({ reason: "token_unbound" });
  const [method, value] = member;
  // A second confirmation method would have to hold too, and an unknown method cannot be checked.
  if (others.length > 0 || (method !== "x5t#S256" && method !== "jkt"))
    return err({ reason: "binding_not_supported" });
  if (typeof value !== "string" || !sha256Form.test(value)) return err({ reason: "token_unbound" });
  return ok(method === "jkt" ? { kind: "key", jkt: value } : { kind: "certificate", x5t: value });
}

/** `cnf` of a token with this binding. */
export function confirmation(binding: Binding): Readonly<Record<string, string>> {
  switch (binding.kind) {
    case "certificate":
      return { "x5t#S256": binding.x5t };
    case "key":
      return { jkt: binding.jkt };
  }
}
