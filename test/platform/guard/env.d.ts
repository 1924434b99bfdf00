/// <reference types="@cloudflare/vitest-plugin/types" />

declare namespace Cloudflare {
  interface Env {
    CLIENT_GUARD: DurableObjectNamespace<import("#platform/durable/client-guard").ClientGuard>;
  }
}
