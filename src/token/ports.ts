import type { AssertionMemory, AssertionVerifier, ClientDirectory, TokenIssuer, TokenTrail } from "#identity/ports";
import type { Clock } from "#kernel/clock";

/** What the built-in issuer is joined to. */
export interface TokenPorts {
  /** Public URL without a trailing slash: the issuer's exact string. */
  readonly issuer: string;
  /** FHIR base of an origin: the audience of its tokens. */
  readonly fhirBase: (origin: string) => string;
  /** RFC 8705 §5: the endpoint's address on the host that asks for client certificates, where that is another host. */
  readonly mtlsTokenEndpoint?: string;
  readonly clients: ClientDirectory;
  readonly assertions: AssertionVerifier;
  readonly used: AssertionMemory;
  readonly tokens: TokenIssuer;
  readonly trail: TokenTrail;
  readonly clock: Clock;
  /** 16 random bytes in hex, new for each call. */
  readonly newId: () => string;
  /** Called with the kind of fault, never with its message: that may quote what the outside said. */
  readonly onFault: (fault: { readonly requestId: string; readonly name: string }) => void;
}

export const tokenPath = "/oauth/token";
