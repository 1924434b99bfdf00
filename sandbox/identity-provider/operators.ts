import type { X509Certificate } from "node:crypto";
import { TLSSocket } from "node:tls";
import type { Context } from "oidc-provider";

/** The client for operators who sign in: public, on this machine. */
export const operatorsClient = "operators";

/** The operators' console: its own server redeems the codes, with a key of each exchange (RFC 9449). */
export const consoleClient = "console";

/** The only scope for the operators' API. The operator's roles decide what it permits. */
export const operatorScope = "operate";

/**
 * The certificate of a connection, if the sandbox's authority signed it. An operator's token is bound to it
 * (RFC 8705 §3).
 */
export function certificateOfRequest({ req: { socket } }: Context): X509Certificate | undefined {
  return socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined;
}
