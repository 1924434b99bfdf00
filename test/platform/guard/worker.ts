export { ClientGuard } from "#platform/durable/client-guard";

export default { fetch: () => new Response(null, { status: 404 }) } satisfies ExportedHandler;
