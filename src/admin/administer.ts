import type { Result } from "#kernel/result";
import { json, problem } from "./answer.ts";
import { authenticateOperator, type Role } from "./operator.ts";
import type { AdminPorts } from "./ports.ts";
import { readDocument } from "./read-document.ts";
import { publicFaces, type AdminRefusal } from "./refusal.ts";
import { Trail, type Arrival } from "./trail.ts";

/** What of the HTTP request a verb reads, after the operator is proven. */
export interface Submission {
  readonly contentType: string | null;
  readonly body: ReadableStream<Uint8Array> | null;
}

/** What control does not do, and why. */
export interface Rejected {
  /** For the record. */
  readonly reason: string;
  readonly title: string;
  /** RFC 6901, into the document. */
  readonly pointer: string;
  readonly detail: string;
}

/** Something that an operator with a role may have done to the registry or beside it, by a document. */
export interface Verb {
  /** For the record. */
  readonly interaction: string;
  /** Of its address. */
  readonly path: string;
  readonly role: Role;
  readonly act: (document: unknown) => Promise<Result<object, Rejected>>;
}

/**
 * Does what an operator asks for. On record before it is done and after; when the first record fails this throws and nothing is
 * done. Every verb can be asked for again with the same document, so a lost answer is no loss.
 */
export async function administer(
  arrival: Arrival,
  { contentType, body }: Submission,
  ports: Pick<AdminPorts, "ledger" | "operators">,
  { interaction, path, role, act }: Verb,
): Promise<Response> {
  const trail = new Trail(arrival, ports.ledger, { interaction, method: "POST", path });
  const refuse = async ({ reason }: AdminRefusal) => {
    const face = publicFaces[reason];
    return problem(arrival.id, face, await trail.refused({ status: face.status, reason }));
  };

  const operator = await authenticateOperator(arrival.tlsClientAuth, role, ports.operators, trail.seen);
  if (!operator.ok) return refuse(operator.error);
  const document = await readDocument(contentType, body);
  if (!document.ok) return refuse(document.error);

  const receipt = await trail.intends(await sha256(document.value.bytes));
  const done = await act(document.value.value);
  if (!done.ok) {
    const { reason, ...face } = done.error;
    await trail.ended({ status: 422, reason });
    return problem(arrival.id, { status: 422, ...face }, receipt);
  }
  await trail.ended({ status: 200 });
  return json(arrival.id, 200, done.value, receipt);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
