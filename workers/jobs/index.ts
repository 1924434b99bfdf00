import { CodeBook, DataSetDesk } from "#platform/codes/isolate/code-book";
import { DataSetCodes } from "#platform/codes/object/data-set-codes";

export { CodeBook, DataSetCodes, DataSetDesk };

/** The jobs worker: it has the codes of data sets. It answers nothing by HTTP. */
export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler<JobsEnv>;
