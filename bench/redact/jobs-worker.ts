// The worker `jobs` of the group, as `workers/jobs/index.ts`, for the call of the gateway.
export { CodeBook } from "#platform/codes/isolate/code-book";
export { DataSetCodes } from "#platform/codes/object/data-set-codes";

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler;
