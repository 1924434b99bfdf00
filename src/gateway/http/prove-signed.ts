import { readAtMost } from "#entrypoint/bounded-body";
import { searchFormBytesMax } from "#fhir/search/query";
import type { Principal } from "#identity/principal";
import type { RequestSignatures } from "#identity/request-signature";
import { err, ok, type Result } from "#kernel/result";
import type { SignedRefusal } from "#gateway/admission/caller";
import { contentBytesMax } from "#gateway/question";
import type { Arrival, Call } from "./admit.ts";

/** The configured name to which the request came: `https://host[:port]`. */
export interface AskedName {
  readonly askedUrl: string;
}

export interface ProveSignedPorts extends AskedName {
  readonly signatures: RequestSignatures;
}

/** `@target-uri` (RFC 9421 §2.2.2): the address as requested. */
export const targetUri = ({ askedUrl }: AskedName, { path, query }: Call): string =>
  askedUrl + path + (query === "" ? "" : `?${query}`);

/** A request as it came, until it is proven. */
type Message = Pick<Arrival, "headers" | "body">;

/** The proven message, and the `kid` of the key that signed it. */
interface Proven {
  readonly message: Message;
  readonly signedBy: string;
}

/**
 * Proves the request's signature. It reads the whole body, and later stages get the same bytes: a second reading
 * cannot find different bytes.
 */
export async function proveSigned(
  call: Call,
  { headers, body: sent }: Message,
  { client }: Principal,
  ports: ProveSignedPorts,
): Promise<Result<Proven, SignedRefusal>> {
  const isForm = call.segments.at(-1) === "_search";
  const body = await readAtMost(sent, isForm ? searchFormBytesMax : contentBytesMax);
  if (body === undefined) return err({ reason: isForm ? "form_too_large" : "body_too_large" });
  const signedBy = await ports.signatures.verify(
    { method: call.method, url: targetUri(ports, call), headers, body },
    client,
    call.at,
  );
  if (!signedBy.ok) return signedBy;
  return ok({ message: { headers, body: body.length === 0 ? null : once(body) }, signedBy: signedBy.value });
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
