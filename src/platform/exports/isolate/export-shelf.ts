import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { ClientExports } from "#platform/exports/object/client-exports";
import { readJurisdiction } from "#platform/ledger/placement";
import { ConfigError } from "#platform/config/config-error";
import { inTime } from "#platform/deadlines";

interface Named {
  readonly id: string;
  readonly expires: Instant;
}

/** The exports of each client, by the object of the client. An export travels as text. */
export function exportShelf<T extends Named>(
  objects: DurableObjectNamespace<ClientExports>,
  jurisdictionText: string,
): {
  addExport(client: string, stored: T): Promise<Result<void, { readonly reason: "too_many_exports" }>>;
  find(client: string, id: string): Promise<T | undefined>;
  end(client: string, id: string): Promise<void>;
} {
  const jurisdiction = readJurisdiction(jurisdictionText, (variable, expected) => {
    throw new ConfigError(variable, expected);
  });
  const placed = jurisdiction === undefined ? objects : objects.jurisdiction(jurisdiction);
  const of = (client: string) => placed.getByName(client);
  return {
    addExport: (client, stored) =>
      inTime(
        "exports",
        async () => await of(client).keepExport(stored.id, stored.expires, JSON.stringify(stored)),
      ),
    find: async (client, id) => {
      const text = await inTime("exports", async () => await of(client).exportOf(id));
      const stored = text === undefined ? undefined : (JSON.parse(text) as T); // as it was stored
      return stored?.id === id ? stored : undefined; // a box that stands beside another id
    },
    end: (client, id) => inTime("exports", async () => await of(client).endExport(id)),
  };
}
