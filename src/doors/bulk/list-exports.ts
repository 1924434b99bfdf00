import type { Instant } from "#kernel/clock";
import type { ExportJobs, StoredExport } from "./export-jobs.ts";

interface Entry {
  readonly id: string;
  readonly client: string;
  readonly startedAt: Instant;
  readonly expires: Instant;
}

/** The exports of all clients until their ends. */
interface AllExports extends Pick<ExportJobs, "find" | "end"> {
  newest(
    client: string | undefined,
    max: number,
  ): Promise<{ readonly entries: readonly Entry[]; readonly more: number }>;
}

/** An export as operators see it: no patient, no Group and no search. */
type ListedExport = Entry & {
  /** Null: the object of the client does not answer. */
  readonly facts:
    | (Pick<StoredExport, "level" | "origin" | "purpose"> & { readonly types: readonly string[] })
    | null;
};

export interface ExportList {
  readonly exports: readonly ListedExport[];
  /** The number of older exports. */
  readonly more: number;
}

const listedMax = 50;

/** The newest exports. `client`: of this client alone. An object that does not answer hides no other export. */
export async function listExports(client: string | undefined, exports: AllExports): Promise<ExportList> {
  const { entries, more } = await exports.newest(client, listedMax);
  const listed = entries.map(async (entry): Promise<readonly ListedExport[]> => {
    try {
      const stored = await exports.find(entry.client, entry.id);
      return stored === undefined ? [] : [{ ...entry, facts: factsOf(stored) }];
    } catch {
      return [{ ...entry, facts: null }];
    }
  });
  return { exports: (await Promise.all(listed)).flat(), more };
}

/** False: the client has no such export, or it is over. A download of it ends at its next page. */
export async function cancelExport(client: string, id: string, exports: AllExports): Promise<boolean> {
  if ((await exports.find(client, id)) === undefined) return false;
  await exports.end(client, id);
  return true;
}

const factsOf = ({ level, origin, purpose, files }: StoredExport) => ({
  level,
  origin,
  purpose,
  types: files.map(({ type }) => type),
});
