import type { PolicyStore } from "#identity/ports";
import { policyDigest, type PolicyDocument } from "#policy/document";
import { askRegistry, policyTable, rowsWhere } from "./read-table.ts";
import type { RegistryReader } from "./copies/registry-reader.ts";
import { Newest } from "#kernel/memo";

const policiesMax = 128;

/**
 * Policy documents from D1. A digest names the same document for ever, so a document is read only once. Only
 * reads.
 */
export function d1PolicyStore(registry: RegistryReader): PolicyStore {
  const known = new Newest<unknown>(policiesMax);
  return {
    async byDigest(digest) {
      const document = known.get(digest);
      if (document !== undefined) return document;
      const { value: row } = await registry.read("unnamed", async (db) => {
        const [[found]] = await askRegistry(db, rowsWhere(policyTable, "digest = ?", digest));
        return found;
      });
      if (row === undefined) return undefined;
      const body = row.body as PolicyDocument; // the digest is that of its JSON, whatever it contains
      if ((await policyDigest(body)) !== digest) throw new Error("a policy's body does not match its digest");
      known.set(digest, body);
      return body;
    },
  };
}
