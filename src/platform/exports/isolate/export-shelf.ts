import type { Instant } from "#kernel/clock";
import type { Result } from "#kernel/result";
import type { ClientExports } from "#platform/exports/object/client-exports";
import type { AskedRun, RunProgress } from "#limits/bundle-run";
import type { ExportEntry, FileProgress } from "#limits/listed-export";
import { EXPORT_DIRECTORY, type ExportDirectory } from "#platform/exports/object/export-directory";
import { readJurisdiction } from "#platform/ledger/placement";
import { ConfigError } from "#platform/config/config-error";
import { inTime } from "#platform/deadlines";

interface Named {
  readonly id: string;
  readonly startedAt: Instant;
  readonly expires: Instant;
}

interface ExportObjects {
  readonly CLIENT_EXPORTS: DurableObjectNamespace<ClientExports>;
  readonly EXPORT_DIRECTORY: DurableObjectNamespace<ExportDirectory>;
  readonly LEDGER_JURISDICTION: string;
}

/**
 * The exports of each client, by the object of the client, and the directory of all. An export travels as text. The
 * directory follows the client's object: an entry without an export is none.
 */
export function exportShelf<T extends Named>(
  env: ExportObjects,
): {
  addExport(
    client: string,
    stored: T,
    body?: string,
  ): Promise<Result<void, { readonly reason: "too_many_exports" }>>;
  find(client: string, id: string): Promise<T | undefined>;
  end(client: string, id: string): Promise<void>;
  askRun(client: string, id: string): Promise<AskedRun | undefined>;
  runOf(client: string, id: string): Promise<RunProgress | null>;
  note(client: string, id: string, begun: Instant, progress: FileProgress): Promise<boolean>;
  filesOf(client: string, id: string): Promise<readonly FileProgress[]>;
  newest(
    client: string | undefined,
    max: number,
  ): Promise<{ readonly entries: readonly ExportEntry[]; readonly more: number }>;
} {
  const jurisdiction = readJurisdiction(env.LEDGER_JURISDICTION, (variable, expected) => {
    throw new ConfigError(variable, expected);
  });
  const [exports, directories] =
    jurisdiction === undefined
      ? [env.CLIENT_EXPORTS, env.EXPORT_DIRECTORY]
      : [env.CLIENT_EXPORTS.jurisdiction(jurisdiction), env.EXPORT_DIRECTORY.jurisdiction(jurisdiction)];
  const of = (client: string) => exports.getByName(client);
  const directory = () => directories.getByName(EXPORT_DIRECTORY);
  return {
    addExport: (client, stored, body) =>
      inTime("exports", async () => {
        const { id, startedAt, expires } = stored;
        const kept = await of(client).keepExport(id, expires, JSON.stringify(stored), body);
        if (!kept.ok) return kept; // a client without room writes nothing that clients share
        try {
          await directory().addEntry({ id, client, startedAt, expires });
        } catch (fault) {
          // Operators could neither list nor end it, and it would count against its client for a day.
          await of(client).endExport(id);
          throw fault;
        }
        return kept;
      }),
    find: async (client, id) => {
      const text = await inTime("exports", async () => await of(client).exportOf(id));
      const stored = text === undefined ? undefined : (JSON.parse(text) as T); // as it was stored
      return stored?.id === id ? stored : undefined; // a box that stands beside another id
    },
    end: (client, id) =>
      inTime("exports", async () => {
        await of(client).endExport(id);
        await directory().removeEntry(id);
      }),
    askRun: (client, id) => inTime("exports", async () => await of(client).askRun(id)),
    runOf: (client, id) => inTime("exports", async () => await of(client).runOf(id)),
    note: (client, id, begun, progress) =>
      inTime("exports", async () => await of(client).noteFile(id, begun, progress)),
    filesOf: (client, id) => inTime("exports", async () => await of(client).filesOf(id)),
    newest: (client, max) => inTime("exports", async () => await directory().newest(client, max)),
  };
}
