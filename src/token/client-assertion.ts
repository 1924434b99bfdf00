import type { AssertionRefusal } from "#identity/assertion";
import type { Certificate } from "#identity/certificate";
import { admitClient, type ClientRecord, type ClientRefusal } from "#identity/client";
import { readCompactJws, type CompactJws } from "#identity/compact-jws";
import type { AssertionMemory, AssertionVerifier, ClientDirectory } from "#identity/ports";
import type { Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";
import { decoyClient } from "./decoy-client.ts";
import type { Form } from "./form.ts";

export type ClientAuthenticationRefusal =
  | AssertionRefusal
  | ClientRefusal
  | {
      readonly reason:
        | "assertion_missing"
        | "assertion_form_wrong"
        | "assertion_replayed"
        | "client_id_differs"
        | "client_unknown"
        | "authentication_ambiguous";
    };

export interface ClientAssertionPorts {
  readonly clients: ClientDirectory;
  readonly assertions: AssertionVerifier;
  readonly used: AssertionMemory;
}

const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"; // RFC 7523 §2.2
const clientId = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u;

/** Who the form says it is from, if it says so in the form of a client id: unproven. */
export function claimedClient(form: Form): string | undefined {
  const name = form.get("client_id") ?? assertionOf(form)?.claims["sub"];
  return typeof name === "string" && clientId.test(name) ? name : undefined;
}

/** Proves a client by `private_key_jwt` and by the certificate of the connection. An assertion is used up only when all else holds. */
export async function authenticateClient(
  form: Form,
  certificate: Certificate,
  ports: ClientAssertionPorts,
  at: Instant,
): Promise<Result<ClientRecord, ClientAuthenticationRefusal>> {
  if (form.has("client_secret")) return err({ reason: "authentication_ambiguous" }); // RFC 6749 §2.3: one method
  const text = form.get("client_assertion");
  if (text === undefined) return err({ reason: "assertion_missing" });
  const claimed = claimedClient(form);
  const jws = assertionOf(form);
  if (form.get("client_assertion_type") !== jwtBearer) return err({ reason: "assertion_form_wrong" });
  if (jws === undefined) return err({ reason: "jws_malformed" });
  if (claimed === undefined) return err({ reason: "client_unknown" });
  if (claimed !== jws.claims["sub"]) return err({ reason: "client_id_differs" }); // RFC 7521 §4.2

  const registered = await ports.clients.find(claimed);
  const client = registered ?? decoyClient(claimed, jws.header["kid"]);
  const assertion = await ports.assertions.verify(new Secret(text), client, at);
  if (registered === undefined) return err({ reason: "client_unknown" });
  if (!assertion.ok) return assertion;
  const admitted = admitClient(registered, certificate, at);
  if (!admitted.ok) return admitted;
  return (await ports.used.first(registered.id, assertion.value)) ? ok(registered) : err({ reason: "assertion_replayed" });
}

function assertionOf(form: Form): CompactJws | undefined {
  const jws = readCompactJws(form.get("client_assertion") ?? "");
  return jws.ok ? jws.value : undefined;
}
