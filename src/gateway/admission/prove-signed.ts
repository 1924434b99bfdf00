import { readAtMost } from "#entrypoint/bounded-body";
import { searchFormBytesMax } from "#fhir/search/query";
import type { Principal } from "#identity/principal";
import type { RequestSignatureRefusal, RequestSignatures } from "#identity/request-signature";
import { err, ok, type Result } from "#kernel/result";
import type { Arrival, Call } from "./admit.ts";
import { writeBytesMax } from "./resource-body.ts";

export type SignedRefusal =
  | RequestSignatureRefusal
  | { readonly reason: "form_too_large" | "body_too_large" };

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

/** The message that later stages read, and the `kid` of the key that signed it. */
interface Proven {
  readonly message: Pick<Arrival, "headers" | "body">;
  readonly signedBy: string | undefined;
}

/**
 * Proves the request's signature where the grant asks for it. It reads the whole body, and later stages get
 * the same bytes: a second reading cannot find different bytes.
 */
export async function proveSigned(
  call: Call,
  arrival: Arrival,
  { grant, client }: Principal,
  ports: ProveSignedPorts,
): Promise<Result<Proven, SignedRefusal>> {
  if (!grant.signedRequests) return ok({ message: arrival, signedBy: undefined });
  const { method, headers } = arrival;
  const isForm = call.segments.at(-1) === "_search";
  const body = await readAtMost(arrival.body, isForm ? searchFormBytesMax : writeBytesMax);
  if (body === undefined) return err({ reason: isForm ? "form_too_large" : "body_too_large" });
  const signedBy = await ports.signatures.verify(
    { method, url: targetUri(ports, call), headers, body },
    client,
    call.at,
  );
  if (!signedBy.ok) return signedBy;
  return ok({ message: { headers, body: body.length === 0 ? null : once(body) }, signedBy: signedBy.value });
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
