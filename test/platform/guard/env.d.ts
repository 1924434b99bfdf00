/// <reference types="@cloudflare/vitest-plugin/types" />

declare namespace Cloudflare {
  interface Env {
    CLIENT_GUARD: DurableObjectNamespace<import("#platform/guard/object/client-guard").ClientGuard>;
    DATA_SET_CODES: DurableObjectNamespace<import("#platform/codes/object/data-set-codes").DataSetCodes>;
    REGISTRY: D1Database;
    PUBLIC_URL: string;
    APPROVALS: string;
    REVOCATIONS: DurableObjectNamespace<import("#platform/revocation/object/revocations").Revocations>;
  }
}
