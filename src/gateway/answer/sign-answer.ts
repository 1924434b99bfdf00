import type { AnswerSigner } from "#identity/answer-signature";
import type { Principal } from "#identity/principal";
import type { Arrival, Call } from "#gateway/admission/admit";
import { targetUri, type AskedName } from "#gateway/admission/prove-signed";

export interface SignAnswerPorts extends AskedName {
  readonly answers: AnswerSigner;
}

/** The whole body as it will leave. It is made only for a signature. */
export type SignedBody = () => readonly Uint8Array[] | Promise<readonly Uint8Array[]>;

/** An answer before its first byte. */
interface Unsigned {
  readonly status: number;
  readonly headers: Headers;
  readonly body: SignedBody;
}

/** True if the grant of a known caller asks for signed answers. */
export const isAnswerSigned = ({
  call,
  principal,
}: {
  readonly call?: Call;
  readonly principal?: Principal;
}) => call !== undefined && principal?.grant.signedResponses === true;

/**
 * Adds the signature fields to an answer if the client's grant asks for them. The headers must not change
 * afterwards. It throws when the answer cannot be signed: then the answer must not leave. Answers to unknown
 * callers are not signed.
 */
export async function signAnswer(
  { status, headers, body }: Unsigned,
  { method, headers: asked }: Pick<Arrival, "method" | "headers">,
  { call, principal }: { readonly call?: Call; readonly principal?: Principal },
  ports: SignAnswerPorts,
): Promise<void> {
  if (call === undefined || principal?.grant.signedResponses !== true) return;
  // RFC 9111 §5.2.2.6: compression on the way would change the bytes of the digest
  headers.set("cache-control", "no-store, no-transform");
  const fields = await ports.answers.sign(
    // RFC 9110 §6.4.1: no body follows
    { status, headers, body: method === "HEAD" || status === 304 ? undefined : await body() },
    { method, url: targetUri(ports, call), headers: asked, signatureRead: principal.grant.signedRequests },
  );
  for (const [name, value] of Object.entries(fields)) headers.set(name, value);
}
