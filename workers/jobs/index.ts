import { WorkerEntrypoint } from "cloudflare:workers";
import { CodeBook, DataSetDesk } from "#platform/codes/isolate/code-book";
import { DataSetCodes } from "#platform/codes/object/data-set-codes";
import { withinBudget } from "#platform/deadlines";
import { ClientExports } from "#platform/exports/object/client-exports";
import { openExports } from "./exports.ts";

export { ClientExports, CodeBook, DataSetCodes, DataSetDesk };

let doors: ReturnType<typeof openExports> | undefined; // settled once, shared by every request of the isolate

/** Exports: the gateway passes each request on as it came, and this worker proves its caller. */
export class ExportDoor extends WorkerEntrypoint<JobsEnv> {
  override fetch(request: Request): Promise<Response> {
    return withinBudget(() => (doors ??= openExports(this.env, new CodeBook(this.ctx, this.env)))(request));
  }
}

/** The jobs worker: it has the codes of data sets, and answers exports. Its own address answers nothing. */
export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler<JobsEnv>;
