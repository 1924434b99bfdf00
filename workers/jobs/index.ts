import { WorkerEntrypoint } from "cloudflare:workers";
import { CodeBook, DataSetDesk } from "#platform/codes/isolate/code-book";
import { DataSetCodes } from "#platform/codes/object/data-set-codes";
import { withinBudget } from "#platform/deadlines";
import { exportShelf } from "#platform/exports/isolate/export-shelf";
import { ClientExports as StoredExports } from "#platform/exports/object/client-exports";
import { ExportDirectory } from "#platform/exports/object/export-directory";
import type { StoredJob } from "#doors/bulk/export-jobs";
import { cancelExport, listExports } from "#doors/bulk/list-exports";
import type { ExportList } from "#limits/listed-export";
import { openExports } from "./exports.ts";

export { CodeBook, DataSetCodes, DataSetDesk, ExportDirectory };

let doors: ReturnType<typeof openExports> | undefined; // settled once, shared by every request of the isolate

const open = (ctx: object, env: JobsEnv) =>
  (doors ??= openExports(env, new CodeBook(ctx as ExecutionContext, env))); // the code book uses no context

/** The exports and bundles of a client. A bundle is tried by the core of this worker. */
export class ClientExports extends StoredExports<JobsEnv> {
  protected override readonly tryBundle: StoredExports["tryBundle"] = (...bundle) =>
    withinBudget(() => open(this.ctx, this.env).tryBundle(...bundle));

  protected override readonly endBundle: StoredExports["endBundle"] = (stored) =>
    open(this.ctx, this.env).endBundle(stored);
}

/** Exports and jobs: the gateway passes each request on as it came, and this worker proves its caller. */
export class ExportDoor extends WorkerEntrypoint<JobsEnv> {
  override fetch(request: Request): Promise<Response> {
    return withinBudget(() => open(this.ctx, this.env).fetch(request));
  }
}

/** The operators' right over exports: to list and to cancel them. It discloses no row, and nothing of a search. */
export class ExportDesk extends WorkerEntrypoint<JobsEnv> {
  async list(client: string | undefined): Promise<ExportList> {
    return await listExports(client, exportShelf<StoredJob>(this.env));
  }

  /** False: the client has no such export, or it is over. */
  async cancel(client: string, id: string): Promise<boolean> {
    return await cancelExport(client, id, exportShelf<StoredJob>(this.env));
  }
}

/** The jobs worker: it has the codes of data sets, and answers exports. Its own address answers nothing. */
export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler<JobsEnv>;
