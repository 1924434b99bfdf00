import { json, problem } from "./answer.ts";
import { authenticateOperator } from "./operator.ts";
import type { AdminPorts } from "./ports.ts";
import { readDocument } from "./read-document.ts";
import { publicFaces, type AdminRefusal } from "./refusal.ts";
import { Trail, type Arrival } from "./trail.ts";

/** What of the HTTP request this verb reads, after the operator is proven. */
export interface Submission {
  readonly contentType: string | null;
  readonly body: ReadableStream<Uint8Array> | null;
}

/**
 * Merges a registry file for an operator with the role `registry-admin`. On record before it is applied and after; when the first
 * record fails this throws and nothing is applied. Applying the same file again is success, so a lost answer can be asked for again.
 */
export async function applyRegistry(arrival: Arrival, { contentType, body }: Submission, ports: AdminPorts): Promise<Response> {
  const trail = new Trail(arrival, ports.ledger, { interaction: "apply-registry", method: "POST", path: "api/registry" });
  const refuse = async ({ reason }: AdminRefusal) => {
    const face = publicFaces[reason];
    return problem(arrival.id, face, await trail.refused({ status: face.status, reason }));
  };

  const operator = await authenticateOperator(arrival.tlsClientAuth, "registry-admin", ports.operators, trail.seen);
  if (!operator.ok) return refuse(operator.error);
  const document = await readDocument(contentType, body);
  if (!document.ok) return refuse(document.error);

  const receipt = await trail.intends(await sha256(document.value.bytes));
  const applied = await ports.registry.apply(document.value.value);
  if (!applied.ok) {
    const { reason, pointer, problem: detail } = applied.error;
    await trail.ended({ status: 422, reason: `registry_${reason}` });
    return problem(arrival.id, { status: 422, title: "The registry file is not applied.", pointer, detail }, receipt);
  }
  await trail.ended({ status: 200 });
  return json(arrival.id, 200, applied.value, receipt);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
