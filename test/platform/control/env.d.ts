/// <reference types="@cloudflare/vitest-plugin/types" />

declare namespace Cloudflare {
  interface Env {
    REGISTRY: D1Database;
    MIGRATIONS: import("cloudflare:test").D1Migration[];
    CERTIFICATE: { readonly pem: string; readonly x5t: string; readonly from: number; readonly to: number };
  }
}
