import type { Principal } from "#identity/principal";
import { ok, type Result } from "#kernel/result";
import type { Arrival, Call } from "./admit.ts";
import {
  authenticate,
  type Authenticated,
  type AuthenticatePorts,
  type AuthenticateRefusal,
} from "./authenticate.ts";
import { proveSigned, type ProveSignedPorts, type SignedRefusal } from "./prove-signed.ts";

/** A caller who is proven, and the message as the later stages read it. */
export interface Caller extends Authenticated {
  readonly message: Pick<Arrival, "headers" | "body">;
  /** `kid` of the key that signed the request. */
  readonly signedBy: string | undefined;
}

/** Facts about a caller that go on record even when a later check fails. */
export interface CallerFacts {
  /** `x5t#S256` of a verified certificate. */
  readonly certificate?: string;
  readonly principal?: Principal;
  readonly signedBy?: string | undefined;
}

/** Proves certificate, token, registration and, where the grant asks for it, the request's signature. */
export async function authenticateCaller(
  call: Call,
  arrival: Arrival,
  ports: AuthenticatePorts & ProveSignedPorts,
  learn: (facts: CallerFacts) => void,
): Promise<Result<Caller, AuthenticateRefusal | SignedRefusal>> {
  const proven = await authenticate(call, ports, ({ x5t }) => learn({ certificate: x5t }));
  if (!proven.ok) return proven;
  learn({ principal: proven.value.who });
  const signed = await proveSigned(call, arrival, proven.value.who, ports);
  if (!signed.ok) return signed;
  learn({ signedBy: signed.value.signedBy });
  return ok({ ...proven.value, ...signed.value });
}
