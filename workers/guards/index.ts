export { ClientGuard } from "#platform/guard/object/client-guard";

/** The guards worker: the quotas and leases of clients. It answers nothing by HTTP. */
export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler<GuardsEnv>;
