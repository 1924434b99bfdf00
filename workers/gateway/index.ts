import "./bundle-order.ts";
import { waitUntil } from "cloudflare:workers";
import type { LinesRequest } from "#audit/accounting/disclosures";
import type { AccountingToWrite } from "#audit/accounting/written";
import type { DataSetPorts } from "#gateway/deid/ports";
import { gatewayApp } from "#gateway/http/app";
import { LedgerQueue } from "#gateway/record/ledger-queue";
import { SharedMemory } from "#limits/shared-memory";
import { SharedThread } from "#limits/shared-thread";
import type { NamedFault } from "#gateway/ports";
import { compiledPolicies } from "#gateway/admission/compiled-policies";
import { RememberedRelations } from "#gateway/facts/relations-at-origin";
import { instant } from "#kernel/clock";
import { logsFor } from "#ledger/shard-choice";
import { rowCounts } from "#phi/bytes/row-counts";
import { accountingConfig } from "#platform/config/accounting-config";
import { askServer } from "#platform/ask-server";
import { gatewayConfig } from "#platform/config/gateway-config";
import { isolateCodes } from "#platform/codes/isolate/isolate-codes";
import { IsolateReadings } from "#platform/consents/isolate-readings";
import { IsolateConsents } from "#platform/consents/isolate-consents";
import { isolateReviews } from "#platform/reviews/isolate-reviews";
import { configurationRecord } from "#platform/ledger/client/configuration-record";
import { authorizationServers } from "#platform/registry/authorization-servers";
import { browserPages } from "#platform/registry/browser-pages";
import { certificateHolders } from "#platform/registry/certificate-holders";
import { clientDirectory, recipientNames } from "#platform/registry/client-directory";
import { applyRevocationDeltas } from "#platform/registry/copies/apply-deltas";
import { issuerDirectory } from "#platform/registry/issuer-directory";
import { allOrigins, originDirectory } from "#platform/registry/origin-directory";
import { probeStates } from "#platform/origins/probe-states";
import type { PolicyDocument } from "#policy/schema";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
import { ElementCounter } from "#platform/elements/isolate/element-counter";
import { guardDenials, refreshingGuard } from "#platform/guard/isolate/denials";
import { guardLimiter } from "#platform/guard/isolate/limiter";
import { guardMemory } from "#platform/guard/isolate/assertion-memory";
import { requestKeys } from "#platform/idempotency/isolate/request-keys";
import { rowLeases } from "#platform/row-leases/isolate/leases";
import { ledgerProver } from "#platform/ledger/client/prover";
import { ledgerSink } from "#platform/ledger/client/sink";
import { regionlessStubs, logStubs } from "#platform/ledger/client/stubs";
import { answerSigner } from "#platform/keys/answer-signer";
import { assertionVerifier } from "#platform/keys/assertion-verifier";
import { keySets } from "#platform/keys/key-sets";
import { proofVerifier } from "#platform/keys/proof-verifier";
import { requestSignatures } from "#platform/keys/request-signatures";
import { tokenIssuer } from "#platform/keys/token-issuer";
import { tokenVerifier } from "#platform/keys/token-verifier";
import { log } from "#platform/log";
import { newId } from "#platform/new-id";
import { originTokens } from "#platform/origins/origin-tokens";
import { attachmentLinks } from "#platform/origins/attachment-links";
import { pageLinks } from "#platform/origins/page-links";
import { withOpaqueTokens } from "#platform/keys/opaque-tokens";
import { originKeys } from "#platform/origins/origin-keys";
import { originAddress } from "#platform/origins/origin-address";
import { keptForASecond, logStates } from "#platform/config/log-states";
import { readiness } from "#platform/config/readiness";
import { originStates } from "#platform/origins/origin-states";
import { originTraits } from "#platform/origins/origin-traits";
import { storedBearers } from "#platform/origins/stored-bearer";
import { upstream } from "#platform/origins/upstream";
import { inTime, partInTime, withinBudget } from "#platform/deadlines";
import { tokenApp } from "#token/app";
import { keepTables } from "./handed-tables.ts";

/** The gateway worker: joins the gateway and the built-in issuer to their Cloudflare bindings. */
function open(env: GatewayEnv): (request: Request) => Promise<Response> {
  const config = gatewayConfig(env);
  const { publicUrl, mtlsUrl, placement, ledgerSpread } = config;
  const clock = () => instant(Date.now());
  // for both configured names: a token is valid under both
  const audienceOf = (origin: string) => `${publicUrl}/v1/fhir/${origin}`;
  const namesOf = (base: string) => [
    base,
    ...(mtlsUrl === undefined ? [] : [mtlsUrl + base.slice(publicUrl.length)]),
  ];
  const logOf = logStubs(env.LEDGER_SHARD, placement);
  const disclosures = partInTime("accounting", env.DISCLOSURES);
  const ledger = ledgerSink(logOf, placement.layout, clock);
  const registry = new RegistryReader(env.REGISTRY, clock, waitUntil);
  const clients = clientDirectory(registry);
  const origins = originDirectory(registry);
  const issuers = issuerDirectory(registry);
  const policyReading = partInTime("registry", env.POLICY_READING);
  const policies = compiledPolicies({
    granted: async (digest) => {
      const [granted, tables] = await Promise.all([policyReading.granted(digest), policyReading.tables()]);
      keepTables(tables);
      return granted as PolicyDocument | undefined; // of `grantedPolicy`
    },
  });
  const consents = new IsolateConsents(env.CONSENT_DESK, clock);
  const applyDeltas = applyRevocationDeltas(registry, { client: clients, origin: origins, issuer: issuers });
  const ask = askServer(config.allowed.identityHosts);
  const place = { clock, wait: (milliseconds: number) => scheduler.wait(milliseconds), keepAlive: waitUntil };
  const keysOfOthers = keySets(ask, place);
  const secrets = {
    valueOf: (name: string): unknown => Reflect.get(env, name),
    secretHosts: config.allowed.secretHosts,
  };
  const credentials = { secrets, tokens: originTokens(ask, place), bearers: storedBearers(place) };
  const states = originStates({
    list: () => allOrigins(env.REGISTRY),
    credentials,
    allowed: config.allowed,
    clock,
    keepAlive: place.keepAlive,
    wait: place.wait,
  });
  const proofs = proofVerifier(config.dpopNonceKeys);
  const issuer = tokenIssuer({
    issuer: publicUrl,
    key: config.tokenSigningKey,
    others: config.tokenVerificationKeys,
  });
  const jwts = tokenVerifier({ issuer: publicUrl, keys: issuer, issuers, keySets: keysOfOthers, namesOf });

  const onFault = (fault: NamedFault) => log({ event: "fault", ...fault });
  const onRowFault = (fault: NamedFault) => log({ event: "row_fault", ...fault });
  const configured = configurationRecord(config.described, ledger, { clock, newId });
  const shared = {
    publicUrl,
    mtlsUrl,
    ledger,
    configured,
    ledgerSpread,
    clients,
    clock,
    newId,
    proofs,
    onFault,
  };
  const issuing = {
    ...shared,
    fhirBase: audienceOf,
    namesOf,
    issuer,
    keepAlive: waitUntil,
    tokens: jwts,
    revoker: refreshingGuard(env.OWN_TOKEN_REVOCATION, env.CLIENT_GUARD, publicUrl),
    memory: guardMemory(env.CLIENT_GUARD),
    denials: guardDenials(env.CLIENT_GUARD),
  };
  const serving = {
    ...shared,
    onRowFault,
    keepAlive: waitUntil,
    ledgerQueue: new LedgerQueue(clock),
    memory: new SharedMemory(clock),
    thread: new SharedThread(clock, place.wait),
    elements: new ElementCounter(regionlessStubs(env.ELEMENT_COUNTS, placement), place),
    recordProver: ledgerProver(logOf, place.wait),
    audienceOf,
    tokens: withOpaqueTokens(jwts, {
      issuers,
      holders: certificateHolders(registry),
      ask,
      secrets,
      clock,
      namesOf,
    }),
    signatures: requestSignatures(keysOfOthers),
    answers: answerSigner({ key: config.responseSigningKey, others: config.responseVerificationKeys, clock }),
    limiter: guardLimiter({
      guards: env.CLIENT_GUARD,
      clock,
      newId,
      waitUntil,
      onUpdate: (applied) => {
        consents.apply(applied);
        applyDeltas(applied);
      },
    }),
    requestKeys: requestKeys(env.KEYED_REQUESTS, newId),
    rowLeases: rowLeases({ books: env.ROW_LEASES, clock, newId, wait: place.wait }),
    policies,
    consents,
    consentReadings: new IsolateReadings(env.CONSENT_DESK, consents, place),
    relations: new RememberedRelations(),
    consentDesk: partInTime("control", env.CONSENT_DESK),
    reviews: isolateReviews(env.REVIEW_OPENING),
    dataSets: {
      codesOf: isolateCodes(() => env.CODE_BOOK, clock),
      inForm: async (...asked) => inTime("codes", async () => await env.CODE_BOOK.inForm(...asked)),
      unknownAmong: async (codes) => inTime("codes", async () => await env.CODE_BOOK.unknownAmong(codes)),
      newId,
    } satisfies DataSetPorts,
    caseOpening: partInTime("control", env.CASE_OPENING),
    onBreakGlass: (use: {
      readonly requestId: string;
      readonly client: string;
      readonly purpose: string;
      readonly review: string;
    }) =>
      log({
        event: "break_glass",
        requestId: use.requestId,
        client: use.client,
        purpose: use.purpose,
        review: use.review,
      }),
    readAhead: (origin: string, digest: string) =>
      origins.isFresh(origin) && policies.has(digest)
        ? undefined
        : Promise.allSettled([origins.find(origin), policies.byDigest(digest)]),
    origins: upstream({
      find: async (name) => {
        const origin = await origins.find(name);
        return origin && originAddress(origin, credentials);
      },
      traits: async (name) => {
        const origin = await origins.find(name);
        return origin && originTraits(origin);
      },
      hosts: config.allowed.originHosts,
      clock,
      wait: place.wait,
      chance: Math.random,
    }),
    originKeys: async (name: string) => {
      const origin = await origins.find(name);
      return origin && originKeys(origin, credentials);
    },
    disclosures: {
      linesOf: (request: LinesRequest) => disclosures.linesOf(request),
      write: (accounting: AccountingToWrite) => disclosures.write(accounting),
    },
    accounting: accountingConfig(env.ACCOUNTING),
    recipients: recipientNames(registry),
    pages: pageLinks(config.pagingKeys),
    attachments: attachmentLinks(config.pagingKeys),
    browserPages: browserPages(registry),
    authorizationServers: authorizationServers(registry),
    anonymousCalls: env.ANONYMOUS_CALLS,
    unprovenCalls: env.UNPROVEN_CALLS,
    provenCalls: env.PROVEN_CALLS,
    jitter: Math.random,
    // the state `registry` reports that the registry cannot be read
    originStates: () => inTime("originStates", states).catch(() => ({})),
    probeStates: () => inTime("readiness", () => probeStates(env.REGISTRY)).catch(() => ({})),
    dependencies: keptForASecond(
      () =>
        readiness(env.REGISTRY, logOf, logsFor({ kind: "address", address: "" }, placement.layout, clock())),
      clock,
    ),
    logStates: keptForASecond(() => logStates(logOf, placement.layout, clock()), clock),
  };
  /**
   * The whole surface under one configured name: proofs, assertions and links carry the name that the
   * client called.
   */
  const doorAt = (askedUrl: string): ReturnType<typeof gatewayApp> => {
    const tokenEndpoint = `${askedUrl}/oauth/token`;
    const token = tokenApp({
      ...issuing,
      tokenEndpoint,
      assertions: assertionVerifier({ issuer: publicUrl, tokenEndpoint }, keysOfOthers),
    });
    return gatewayApp({ ...serving, askedUrl, fhirBase: (origin) => `${askedUrl}/v1/fhir/${origin}` }, token);
  };
  const door = doorAt(publicUrl);
  const second = mtlsUrl === undefined ? undefined : { host: new URL(mtlsUrl).host, door: doorAt(mtlsUrl) };
  // An unknown host name counts as the public name: a proof or a link never carries a name that only the
  // request states.
  return (request) => {
    const counts = rowCounts.take(clock());
    if (counts !== undefined) log({ event: "rows_judged", ...counts });
    return (second !== undefined && new URL(request.url).host === second.host ? second.door : door).fetch(
      request,
    );
  };
}

let doors: ReturnType<typeof open> | undefined; // settled once, shared by every request of the isolate

export default {
  fetch: (request, env) => withinBudget(() => (doors ??= open(env))(request)),
} satisfies ExportedHandler<GatewayEnv>;
