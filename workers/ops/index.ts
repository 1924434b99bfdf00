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
import { logStubs, regionlessStubs } from "#platform/ledger/client/stubs";
import { readLedgerPlacement } from "#platform/ledger/config";
import type { LedgerPlacement } from "#platform/ledger/placement";
import { ALERT_BOOK, AlertBook } from "#platform/alerts/object/alert-book";
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
import { inTime, partInTime } from "#platform/deadlines";

const alertBookOf = (env: OpsEnv, placement: LedgerPlacement) =>
  regionlessStubs(env.ALERT_BOOK, placement)(ALERT_BOOK);

/** The ops worker: joins the operators' verbs to their Cloudflare bindings. */
function open(env: OpsEnv): Hono {
  const desks = {
    roll: partInTime("control", env.OPERATOR_ROLL),
    registry: partInTime("desk", env.REGISTRY_DESK),
    proposals: partInTime("desk", env.PROPOSAL_DESK),
    consents: partInTime("desk", env.CONSENT_HISTORY),
    reviews: partInTime("desk", env.REVIEW_DESK),
    cases: partInTime("desk", env.CASE_DESK),
    dataSets: partInTime("desk", env.DATA_SET_DESK),
    exports: partInTime("desk", env.EXPORT_DESK),
    holders: partInTime("desk", env.ACCOUNTING_HOLDERS),
    holds: partInTime("desk", env.ACCOUNTING_HOLDS),
    recovery: partInTime("desk", env.LEDGER_RECOVERY),
  };
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
  const wait = (milliseconds: number) => scheduler.wait(milliseconds);
  // workerd binds the stub of an object to the request that made it
  const book = () => partInTime("desk", alertBookOf(env, placement));
  const ask = askServer(identityHosts);
  const logOf = logStubs(env.LEDGER_SHARD, placement);
  const ledger = ledgerSink(logOf, placement.layout, clock);
  const keysOfIssuers = keySets(ask, {
    clock,
    wait,
    keepAlive: waitUntil,
  });
  const consoleDesk = partInTime("control", env.CONSOLE_DESK);
  const admin: AdminPorts = {
    operators: desks.roll,
    denials: async (issuer) => new Set(await desks.roll.denials(issuer)),
    signIns: signInVerifier({
      audience: url,
      issuers: { find: (iss) => desks.roll.issuer(iss) },
      keySets: keysOfIssuers,
    }),
    proofs: proofVerifier(dpopNonceKeys),
    registry: {
      show: () => desks.registry.show(),
      clients: () => desks.registry.clients(),
      plan: (document) => desks.registry.plan(document),
      change: (document, mayOpen) => desks.registry.change(document, mayOpen),
      apply: (document, mayOpen) => desks.registry.merge(document, mayOpen),
      probed: (document, operator) => desks.registry.probed(document, operator),
      probes: () => desks.registry.probes(),
      revoke: (denial) => desks.registry.revoke(denial),
      authorities: (document) => desks.registry.authorities(document),
      lift: (denial) => desks.registry.lift(denial),
    },
    operatorTasks: {
      list: () => desks.registry.operators(),
      suspend: (id, by) => desks.registry.suspendOperator(id, by),
      remove: (id, by) => desks.registry.removeOperator(id, by),
    },
    proposals: {
      propose: (document, by) => desks.proposals.propose(document, by),
      list: (page) => desks.proposals.list(page),
      show: (proposal) => desks.proposals.show(proposal),
      approve: (proposal, by) => desks.proposals.approve(proposal, by),
      close: (proposal, operator, note) => desks.proposals.close(proposal, operator, note),
    },
    approvals,
    requestKeys: requestKeys(env.KEYED_REQUESTS, newId),
    consents: {
      list: (document) => desks.consents.list(document),
      refile: (document) => desks.consents.refile(document),
    },
    reviews: {
      list: (document) => desks.reviews.list(document),
      close: (document, operator) => desks.reviews.close(document, operator),
    },
    cases: {
      list: (document) => desks.cases.list(document),
      confirm: (document) => desks.cases.confirm(document),
      open: (document, operator, requestId) => desks.cases.open(document, operator, requestId),
      void: (document) => desks.cases.void(document),
      extend: (document, operator) => desks.cases.extend(document, operator),
      accept: (document, operator) => desks.cases.accept(document, operator),
      deny: (document, operator) => desks.cases.deny(document, operator),
      state: (document, operator) => desks.cases.state(document, operator),
      unstate: (document, operator) => desks.cases.unstate(document, operator),
      holdersSought: (document) => desks.cases.holdersSought(document),
      holders: (query, operator, requestId) =>
        desks.holders.holdersOf({ ...query, caller: { id: requestId, at: clock(), who: { operator } } }),
      addHolders: (document, holders, operator) => desks.cases.addHolders(document, holders, operator),
      nameNotice: (document, operator) => desks.cases.nameNotice(document, operator),
      sendNotice: (document, operator) => desks.cases.sendNotice(document, operator),
      waiveNotice: (document, operator) => desks.cases.waiveNotice(document, operator),
    },
    dataSets: { end: (dataSet) => desks.dataSets.end(dataSet) },
    exports: {
      list: (client) => desks.exports.list(client),
      cancel: (client, id) => desks.exports.cancel(client, id),
    },
    accountings: { hold: (document) => desks.holds.hold(document) },
    alerts: {
      report: () => book().report(),
      silence: (silence) => book().silence(silence),
      endSilence: (id) => book().endSilence(id),
    },
    traffic: () => inTime("desk", async () => await env.LEDGER_HEALTH.traffic()),
    tail: (after) => inTime("desk", async () => await env.LEDGER_HEALTH.ends(after)),
    wait,
    gauges: async () => await book().readings(),
    quotas: () => consoleDesk.quotas(),
    restores: { restore: (log) => desks.recovery.restore(log) },
    ledger,
    configured: configurationRecord(described, ledger, { clock, newId }),
    calls: env.OPERATOR_CALLS,
    url,
    clock,
    newId,
    dependencies: keptForASecond(() => opsReadiness(desks.roll, logOf, placement.layout, clock()), clock),
    halfYear: keptForASecond(
      () => inTime("readiness", async () => await env.LEDGER_HEALTH.shards()).catch(() => undefined),
      clock,
    ),
    keepAlive: waitUntil,
    onFault: (fault) => log({ event: "fault", ...fault }),
  };
  const app = adminApp(admin);
  if (places === undefined) return app;
  const ledgerHealth = partInTime("desk", env.LEDGER_HEALTH);
  addConsole(app, {
    admin,
    places,
    sealingKeys: consoleSessionKeys.map(
      (key) => new Secret(hkdf(key, new Uint8Array(), utf8("phylax console session key v1"))),
    ),
    issuers: operatorIssuers({ ask, hosts: identityHosts, clientId: places.clientId, clock, newId }),
    health: () => ledgerHealth.report(),
    ends: () => consoleDesk.ends(),
    traffic: (span) => ledgerHealth.trafficOf(span),
    ages: (span) => inTime("desk", async () => await book().ages(span)),
    denials: () => consoleDesk.denials(),
    waiting: () => consoleDesk.waiting(),
    origins: () => originStatesAt(places.gateway),
    wait,
  });
  return app;
}

let app: Hono | undefined; // settled once, shared by every request of the isolate

export { AlertBook };

/** The alarm of the watch goes on by itself; these calls begin it, and begin it again if it ever ended. */
const beginWatch = (env: OpsEnv): Promise<void> =>
  inTime("desk", async () => await alertBookOf(env, readLedgerPlacement(env)).begin());

export default {
  fetch(request, env, context) {
    if (app === undefined) context.waitUntil(beginWatch(env).catch(() => {})); // the schedule begins it too
    app ??= open(env);
    return app.fetch(request, env, context);
  },
  async scheduled(_controller, env) {
    await beginWatch(env);
  },
} satisfies ExportedHandler<OpsEnv>;
