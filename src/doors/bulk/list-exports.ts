import type { RunProgress } from "#limits/bundle-run";
import type { ExportEntry, ExportList, FileProgress, ListedExport } from "#limits/listed-export";
import type { ExportJobs, StoredJob } from "./export-jobs.ts";

/** The exports of all clients until their ends. */
interface AllExports extends Pick<ExportJobs, "find" | "end"> {
  filesOf(client: string, id: string): Promise<readonly FileProgress[]>;
  /** Null: it is no bundle. */
  runOf(client: string, id: string): Promise<RunProgress | null>;
  newest(
    client: string | undefined,
    max: number,
  ): Promise<{ readonly entries: readonly ExportEntry[]; readonly more: number }>;
}

const listedMax = 50;

/** The newest exports. `client`: of this client alone. An object that does not answer hides no other export. */
export async function listExports(client: string | undefined, exports: AllExports): Promise<ExportList> {
  const { entries, more } = await exports.newest(client, listedMax);
  const listed = entries.map(async (entry): Promise<readonly ListedExport[]> => {
    try {
      const [stored, read, run] = await Promise.all([
        exports.find(entry.client, entry.id),
        exports.filesOf(entry.client, entry.id),
        exports.runOf(entry.client, entry.id),
      ]);
      return stored === undefined ? [] : [{ ...entry, facts: { ...factsOf(stored), read, run } }];
    } catch {
      return [{ ...entry, facts: null }];
    }
  });
  return { exports: (await Promise.all(listed)).flat(), more };
}

/**
 * False: the client has no such export, or it is over. A download of it ends at its next page, and a bundle is not tried
 * again.
 */
export async function cancelExport(client: string, id: string, exports: AllExports): Promise<boolean> {
  if ((await exports.find(client, id)) === undefined) return false;
  await exports.end(client, id);
  return true;
}

const factsOf = (stored: StoredJob) => ({
  level: stored.level,
  origin: stored.origin,
  purpose: stored.purpose,
  types: stored.level === "bundle" ? [] : stored.files.map(({ type }) => type),
});
