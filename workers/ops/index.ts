import type { Hono } from "hono";
import { adminApp } from "#admin/app";
import { instant } from "#kernel/clock";
import { readShardCount } from "#platform/durable/ledger-config";
import { ledgerSink } from "#platform/durable/ledger-sink";
import { log } from "#platform/log";
import { opsReadiness } from "#platform/ops-readiness";

/** The operators' door: joins it to what Cloudflare gives it. */
function open(env: OpsEnv): Hono {
  const shards = readShardCount(env);
  const clock = () => instant(Date.now());
  return adminApp({
    operators: env.OPERATOR_ROLL,
    registry: {
      apply: (document) => env.REGISTRY_DESK.apply(document, "add"),
      revoke: (denial) => env.REGISTRY_DESK.revoke(denial),
      lift: (denial) => env.REGISTRY_DESK.lift(denial),
    },
    ledger: ledgerSink(env.LEDGER_SHARD, shards, clock),
    clock,
    newId: () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    dependencies: () => opsReadiness(env.OPERATOR_ROLL, env.LEDGER_SHARD, shards, clock()),
    onFault: (fault) => log({ event: "fault", ...fault }),
  });
}

let app: Hono | undefined; // settled once, shared by every request of the isolate

export default {
  fetch: (request, env, context) => (app ??= open(env)).fetch(request, env, context),
} satisfies ExportedHandler<OpsEnv>;
