import { WorkerEntrypoint } from "cloudflare:workers";
import * as structure from "#fhir/r4/structure.gen";
import * as summary from "#fhir/r4/summary.gen";
import * as ties from "#fhir/r4/ties.gen";
import { policyDigest, readPublishedPolicy, type PolicyDocument } from "#policy/document";
import { narrowedToForm } from "#policy/form/narrowed-view";
import { askRegistry, policyTable, rowsWhere } from "./read-table.ts";

/**
 * The published policies, for the gateway, which neither reads their rows nor checks their documents, and tables
 * of R4 that its bundle does not have (ADR 116).
 */
export class PolicyReading extends WorkerEntrypoint<{ readonly REGISTRY: D1Database }> {
  /** A {@link PolicyDocument}. The types of RPC do not end for that type, since an example holds any JSON. */
  async granted(digest: string): Promise<object | undefined> {
    return await grantedPolicy(this.env.REGISTRY, digest);
  }

  /** The tables by which rows and bodies are judged. R4 4.0.1 does not change: each version has the same. */
  tables(): typeof structure & typeof summary & typeof ties {
    return { ...structure, ...summary, ...ties };
  }
}

/**
 * The part of a published policy that this version grants, and that its form lets leave. `undefined`: no policy has the
 * digest, or this version cannot read the policy. Throws D1's errors, and for a body that does not match its digest.
 */
export async function grantedPolicy(
  registry: D1Database,
  digest: string,
): Promise<PolicyDocument | undefined> {
  // A policy never changes under its digest: a nearby copy of the database has it as it is, or lacks it.
  for (const from of ["first-unconstrained", "first-primary"]) {
    const [[row]] = await askRegistry(
      registry.withSession(from),
      rowsWhere(policyTable, "digest = ?", digest),
    );
    if (row === undefined) continue;
    const body = row.body as PolicyDocument; // the digest is that of its JSON, whatever the body contains
    if ((await policyDigest(body)) !== digest) throw new Error("a policy's body does not match its digest");
    const read = readPublishedPolicy(body);
    return read.ok ? narrowedToForm(read.value) : undefined;
  }
  return undefined;
}
