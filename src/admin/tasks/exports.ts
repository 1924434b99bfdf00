import * as z from "zod";
import { ok } from "#kernel/result";
import { rejectedAt, type Verb } from "#admin/administer";
import { registryReaders } from "#admin/change-registry";
import type { Role } from "#admin/operator";
import type { ExportTasks } from "#admin/ports";

const client = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/u);
const listing = z.strictObject({ client: z.optional(client) });
const cancelling = z.strictObject({
  client,
  export: z.string().regex(/^[0-9a-f]{32}$/u),
  reason: z.string().trim().min(1).max(1_000),
});

const exportForm = z.object({
  id: z.string(),
  client: z.string(),
  startedAt: z.int(),
  expires: z.int(),
  facts: z
    .object({
      level: z.enum(["system", "patient", "group", "bundle"]),
      origin: z.string(),
      purpose: z.string(),
      types: z.array(z.string()),
      read: z.array(
        z.object({
          file: z.int(),
          state: z.enum(["reading", "waits", "sent", "broken"]),
          rows: z.int(),
          reason: z.string().nullable(),
          at: z.int(),
        }),
      ),
      run: z
        .object({ state: z.enum(["waits", "done"]), tries: z.int(), reason: z.string().nullable() })
        .nullable(),
    })
    .nullable(),
});

/** Who may list the exports. */
export const exportReaders: readonly Role[] = [...registryReaders, "revoker"];

/** Lists the exports of clients: those that have not expired. */
export const listExportsVerb = (exports: Pick<ExportTasks, "list">): Verb => ({
  interaction: "list-exports",
  does: "The exports of all clients, or of one, until they expire: the newest 50, and the number of older ones. It names no patient, no Group and no search. `read` says of each file that was read how far, by its place in `types`. A batch or a transaction that is done as a job has the level `bundle`, no types, and `run`: its tries, and the reason it waits for. `facts` is null if the part that stores the client's exports does not answer.",
  document: listing,
  answer: z.object({ exports: z.array(exportForm), more: z.int() }),
  path: "api/exports",
  method: "POST",
  roles: exportReaders,
  changes: "nothing",
  async act({ document }) {
    const read = listing.safeParse(document);
    return read.success ? ok({ answer: await exports.list(read.data.client) }) : malformed(read.error);
  },
});

/** Cancels an export for an operator with the role `revoker`, who may also deny the client. */
export const cancelExportVerb = (exports: Pick<ExportTasks, "cancel">): Verb => ({
  interaction: "cancel-export",
  does: "Ends an export as its client's own DELETE does: its status and its files are 404, a download of it breaks off at its next page, and a batch or a transaction is not tried again.",
  document: cancelling,
  answer: z.object({ cancelled: z.literal(true) }),
  path: "api/exports/cancel",
  method: "POST",
  roles: ["revoker"],
  changes: "repeatably",
  async act({ document }) {
    const read = cancelling.safeParse(document);
    if (!read.success) return malformed(read.error);
    return (await exports.cancel(read.data.client, read.data.export))
      ? ok({ answer: { cancelled: true } })
      : rejectedAt("export", "export_not_open", "names no export of the client");
  },
});

const malformed = ({ issues }: z.ZodError) =>
  rejectedAt(String(issues[0]?.path[0] ?? ""), "export_malformed", "is missing or malformed");
