import type { X509Certificate } from "node:crypto";
import { TLSSocket } from "node:tls";
import type { Context } from "oidc-provider";

/** The client with which operators sign in: public, on this machine. */
export const operatorsClient = "operators";

/** The only scope for the operators' door; what an operator may do there, roles say. */
export const operatorScope = "operate";

/** The certificate of a connection, if the sandbox's authority vouches for it: what an operator's token is bound to (RFC 8705 §3). */
export function certificateOf({ req: { socket } }: Context): X509Certificate | undefined {
  return socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined;
}
