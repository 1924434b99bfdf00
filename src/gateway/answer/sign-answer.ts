import type { AnswerSigner } from "#identity/answer-signature";
import type { Principal } from "#identity/principal";
import type { Arrival, Call } from "#gateway/admission/admit";
import { targetUri, type AskedName } from "#gateway/admission/prove-signed";

export interface SignAnswerPorts extends AskedName {
  readonly answers: AnswerSigner;
}

/** All of it, as it will leave; asked for only where it is to be signed. */
export type SignedBody = () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/** An answer before its first byte. */
interface Unsigned {
  readonly status: number;
  readonly headers: Headers;
  readonly body: SignedBody;
}

/**
 * Signs an answer where the client's grant asks for it: its headers get the fields. Nothing may be set or changed on it afterwards. Throws
 * when it cannot be signed: then it must not leave. Who asks is known by then; an answer before that is nobody's to ask for.
 */
export async function signAnswer(
  { status, headers, body }: Unsigned,
  { method, headers: asked }: Pick<Arrival, "method" | "headers">,
  { call, principal }: { readonly call?: Call; readonly principal?: Principal },
  ports: SignAnswerPorts,
): Promise<void> {
  if (call === undefined || principal?.grant.signedResponses !== true) return;
  headers.set("cache-control", "no-store, no-transform"); // RFC 9111 §5.2.2.6: who compresses on the way changes the bytes of the digest
  const fields = await ports.answers.sign(
    { status, headers, body: method === "HEAD" || status === 304 ? undefined : await body() }, // RFC 9110 §6.4.1: no body follows
    { method, url: targetUri(ports, call), headers: asked, signatureRead: principal.grant.signedRequests },
  );
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
}
