import { waitUntil } from "cloudflare:workers";
import type { Hono } from "hono";
import { adminApp } from "#admin/app";
import type { AdminPorts } from "#admin/ports";
import { addConsole } from "#console/app";
import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { Secret } from "#kernel/secret";
import { hkdf } from "#ledger/leaf/seal";
import { askServer } from "#platform/ask-server";
import { configurationRecord } from "#platform/ledger/client/configuration-record";
import { ledgerSink } from "#platform/ledger/client/sink";
import { logStubs } from "#platform/ledger/client/stubs";
import { requestKeys } from "#platform/idempotency/isolate/request-keys";
import { proofVerifier } from "#platform/keys/proof-verifier";
import { signInVerifier } from "#platform/keys/sign-in-verifier";
import { keySets } from "#platform/keys/key-sets";
import { log } from "#platform/log";
import { newId } from "#platform/new-id";
import { operatorIssuers } from "#platform/operators/operator-issuers";
import { originStatesAt } from "#platform/operators/origin-states-at";
import { opsConfig } from "#platform/config/ops-config";
import { keptForASecond } from "#platform/config/log-states";
import { opsReadiness } from "#platform/config/ops-readiness";
import { within } from "#platform/within";

/** The ops worker: joins the operators' verbs to their Cloudflare bindings. */
function open(env: OpsEnv): Hono {
  const {
    url,
    approvals,
    placement,
    identityHosts,
    dpopNonceKeys,
    consoleSessionKeys,
    console: places,
    described,
  } = opsConfig(env);
  const clock = () => instant(Date.now());
  const ask = askServer(identityHosts);
  const logOf = logStubs(env.LEDGER_SHARD, placement);
  const ledger = ledgerSink(logOf, placement.layout, clock);
  const keysOfIssuers = keySets(ask, {
    clock,
    wait: (milliseconds) => scheduler.wait(milliseconds),
    keepAlive: waitUntil,
  });
  const admin: AdminPorts = {
    operators: env.OPERATOR_ROLL,
    denials: async (issuer) => new Set(await env.OPERATOR_ROLL.denials(issuer)),
    signIns: signInVerifier({
      audience: url,
      issuers: { find: (iss) => env.OPERATOR_ROLL.issuer(iss) },
      keySets: keysOfIssuers,
    }),
    proofs: proofVerifier(dpopNonceKeys),
    registry: {
      show: () => env.REGISTRY_DESK.show(),
      clients: () => env.REGISTRY_DESK.clients(),
      plan: (document) => env.REGISTRY_DESK.plan(document),
      change: (document, mayOpen) => env.REGISTRY_DESK.change(document, mayOpen),
      apply: (document, mayOpen) => env.REGISTRY_DESK.merge(document, mayOpen),
      probed: (document, operator) => env.REGISTRY_DESK.probed(document, operator),
      revoke: (denial) => env.REGISTRY_DESK.revoke(denial),
      lift: (denial) => env.REGISTRY_DESK.lift(denial),
    },
    operatorTasks: {
      list: () => env.REGISTRY_DESK.operators(),
      suspend: (id, by) => env.REGISTRY_DESK.suspendOperator(id, by),
      remove: (id, by) => env.REGISTRY_DESK.removeOperator(id, by),
    },
    proposals: {
      propose: (document, by) => env.PROPOSAL_DESK.propose(document, by),
      list: (page) => env.PROPOSAL_DESK.list(page),
      show: (proposal) => env.PROPOSAL_DESK.show(proposal),
      approve: (proposal, by) => env.PROPOSAL_DESK.approve(proposal, by),
      close: (proposal, operator, note) => env.PROPOSAL_DESK.close(proposal, operator, note),
    },
    approvals,
    requestKeys: requestKeys(env.KEYED_REQUESTS, newId),
    consents: {
      list: (document) => env.CONSENT_HISTORY.list(document),
      refile: (document) => env.CONSENT_HISTORY.refile(document),
    },
    reviews: {
      list: (document) => env.REVIEW_DESK.list(document),
      close: (document, operator) => env.REVIEW_DESK.close(document, operator),
    },
    accountings: { hold: (document) => env.ACCOUNTING_HOLDS.hold(document) },
    restores: { restore: (log) => env.LEDGER_RECOVERY.restore(log) },
    ledger,
    configured: configurationRecord(described, ledger, { clock, newId }),
    calls: env.OPERATOR_CALLS,
    url,
    clock,
    newId,
    dependencies: keptForASecond(
      () => opsReadiness(env.OPERATOR_ROLL, logOf, placement.layout, clock()),
      clock,
    ),
    halfYear: keptForASecond(
      () => within(2_000, env.LEDGER_HEALTH.shards(), "ledger: no answer in time").catch(() => undefined),
      clock,
    ),
    keepAlive: waitUntil,
    onFault: (fault) => log({ event: "fault", ...fault }),
  };
  const app = adminApp(admin);
  if (places === undefined) return app;
  addConsole(app, {
    admin,
    places,
    sealingKeys: consoleSessionKeys.map(
      (key) => new Secret(hkdf(key, new Uint8Array(), utf8("phylax console session key v1"))),
    ),
    issuers: operatorIssuers({ ask, hosts: identityHosts, clientId: places.clientId, clock, newId }),
    health: () => env.LEDGER_HEALTH.report(),
    ends: () => env.CONSOLE_DESK.ends(),
    denials: () => env.CONSOLE_DESK.denials(),
    waiting: () => env.CONSOLE_DESK.waiting(),
    origins: () => originStatesAt(places.gateway),
    wait: (milliseconds) => scheduler.wait(milliseconds),
  });
  return app;
}

let app: Hono | undefined; // settled once, shared by every request of the isolate

export default {
  fetch: (request, env, context) => (app ??= open(env)).fetch(request, env, context),
} satisfies ExportedHandler<OpsEnv>;
