import { createHash } from "node:crypto";
import type { AssertionMemory } from "#identity/ports";
import type { ClientGuard } from "#platform/guard/object/client-guard";
import { inTime } from "#platform/deadlines";
import { guardStub } from "./guard-stub.ts";

/**
 * Remembers used assertions in the client's guard, by a hash: the guard stores no id that a client made up.
 */
export function guardMemory(guards: DurableObjectNamespace<ClientGuard>): AssertionMemory {
  return {
    async first(client, { id, expires }) {
      const idHash = createHash("sha256").update(id).digest("base64url");
      // No retry: when the answer is lost, the first call may have used the assertion up, so the client must
      // make a new assertion.
      return await inTime("guard", () =>
        guardStub(guards, client.id, client.home?.region).assertionOnce(idHash, expires),
      );
    },
  };
}
