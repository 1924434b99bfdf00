/// <reference types="@cloudflare/vitest-plugin/types" />

declare namespace Cloudflare {
  interface Env {
    CLIENT_GUARD: DurableObjectNamespace<import("#platform/durable/client-guard").ClientGuard>;
    REGISTRY: D1Database;
    PUBLIC_URL: string;
    REVOCATIONS: DurableObjectNamespace<import("#platform/revocations").Revocations>;
  }
}
