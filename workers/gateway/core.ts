import { waitUntil } from "cloudflare:workers";
import { IsolateNumbers } from "#audit/traffic/isolate-numbers";
import type { DataSetPorts } from "#gateway/deid/ports";
import { LedgerQueue } from "#gateway/record/ledger-queue";
import { SharedMemory } from "#limits/shared-memory";
import { SharedThread } from "#limits/shared-thread";
import type { NamedFault } from "#gateway/ports";
import { compiledPolicies } from "#gateway/admission/compiled-policies";
import { RememberedRelations } from "#gateway/facts/relations-at-origin";
import type { TokenIssuer } from "#identity/ports";
import { instant } from "#kernel/clock";
import type { KeyList } from "#kernel/key-list";
import type { LedgerPlacement } from "#platform/ledger/placement";
import { rowCounts } from "#phi/bytes/row-counts";
import { accountingConfig } from "#platform/config/accounting-config";
import type { AllowedPlaces } from "#platform/config/allowed-places";
import { askServer } from "#platform/ask-server";
import { IsolateReadings } from "#platform/consents/isolate-readings";
import { IsolateConsents } from "#platform/consents/isolate-consents";
import { isolateReviews } from "#platform/reviews/isolate-reviews";
import { authorizationServers } from "#platform/registry/authorization-servers";
import { certificateHolders } from "#platform/registry/certificate-holders";
import { clientDirectory, recipientNames } from "#platform/registry/client-directory";
import { applyRevocationDeltas } from "#platform/registry/copies/apply-deltas";
import { issuerDirectory } from "#platform/registry/issuer-directory";
import { originDirectory } from "#platform/registry/origin-directory";
import type { PolicyDocument } from "#policy/schema";
import { RegistryReader } from "#platform/registry/copies/registry-reader";
import { ElementCounter } from "#platform/elements/isolate/element-counter";
import { guardLimiter } from "#platform/guard/isolate/limiter";
import { requestKeys } from "#platform/idempotency/isolate/request-keys";
import { rowLeases } from "#platform/row-leases/isolate/leases";
import { ledgerProver } from "#platform/ledger/client/prover";
import { ledgerSink } from "#platform/ledger/client/sink";
import { regionlessStubs, logStubs } from "#platform/ledger/client/stubs";
import { keySets } from "#platform/keys/key-sets";
import { proofVerifier } from "#platform/keys/proof-verifier";
import { requestSignatures } from "#platform/keys/request-signatures";
import { tokenVerifier } from "#platform/keys/token-verifier";
import { log } from "#platform/log";
import { newId } from "#platform/new-id";
import { originTokens } from "#platform/origins/origin-tokens";
import { attachmentLinks } from "#platform/origins/attachment-links";
import { pageLinks } from "#platform/origins/page-links";
import { withOpaqueTokens } from "#platform/keys/opaque-tokens";
import { originAddress } from "#platform/origins/origin-address";
import { originTraits } from "#platform/origins/origin-traits";
import { storedBearers } from "#platform/origins/stored-bearer";
import { upstream } from "#platform/origins/upstream";
import { originCallBegins, partInTime } from "#platform/deadlines";
import { keepTables } from "./handed-tables.ts";

/** The bindings of the core: each Worker that bundles it has them under these names. */
export type CoreEnv = Pick<
  GatewayEnv,
  | "REGISTRY"
  | "LEDGER_SHARD"
  | "POLICY_READING"
  | "CONSENT_DESK"
  | "REVIEW_OPENING"
  | "CASE_OPENING"
  | "CLIENT_GUARD"
  | "KEYED_REQUESTS"
  | "ROW_LEASES"
  | "ELEMENT_COUNTS"
> & { readonly ACCOUNTING: string };

export interface CoreConfig {
  readonly publicUrl: string;
  readonly mtlsUrl: string | undefined;
  readonly placement: LedgerPlacement;
  readonly ledgerSpread: number;
  readonly allowed: AllowedPlaces;
  readonly pagingKeys: KeyList;
  readonly dpopNonceKeys: KeyList;
}

/** The core of a Worker: its ports joined to the Cloudflare bindings. Each door adds what its tongue needs. */
export function openCore(
  env: CoreEnv,
  config: CoreConfig,
  issuer: Pick<TokenIssuer, "lifetimeSeconds" | "publicKeys">,
  dataSets: Omit<DataSetPorts, "newId">,
) {
  const { publicUrl, mtlsUrl, placement, ledgerSpread } = config;
  const clock = () => instant(Date.now());
  // for both configured names: a token is valid under both
  const audienceOf = (origin: string) => `${publicUrl}/v1/fhir/${origin}`;
  const namesOf = (base: string) => [
    base,
    ...(mtlsUrl === undefined ? [] : [mtlsUrl + base.slice(publicUrl.length)]),
  ];
  const logOf = logStubs(env.LEDGER_SHARD, placement);
  const numbers = new IsolateNumbers((sum) => {
    for (const [way, rows] of rowCounts.take()) sum.add("phylax_rows", [way], rows);
  });
  const ledger = ledgerSink(logOf, placement.layout, clock, { numbers });
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
  const proofs = proofVerifier(config.dpopNonceKeys);
  const jwts = tokenVerifier({ issuer: publicUrl, keys: issuer, issuers, keySets: keysOfOthers, namesOf });
  const onFault = (fault: NamedFault) => log({ event: "fault", ...fault });
  const onRowFault = (fault: NamedFault) => log({ event: "row_fault", ...fault });
  const ports = {
    publicUrl,
    mtlsUrl,
    ledger,
    ledgerSpread,
    clients,
    clock,
    newId,
    proofs,
    onFault,
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
    limiter: guardLimiter({
      guards: env.CLIENT_GUARD,
      clock,
      newId,
      waitUntil,
      onUpdate: (applied) => {
        consents.apply(applied);
        applyDeltas(applied);
      },
      onLease: (result, milliseconds) => {
        numbers.add("phylax_lease_calls", [result]);
        numbers.waited("lease", milliseconds);
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
    dataSets: { ...dataSets, newId } satisfies DataSetPorts,
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
      meter: {
        begins: (isPaced) => {
          const at = clock();
          const end = originCallBegins(at);
          return () => {
            end(clock());
            if (!isPaced) numbers.waited("origin", clock() - at);
          };
        },
        result: (origin, kind) => numbers.add("phylax_origin_calls", [origin, kind]),
      },
    }),
    accounting: accountingConfig(env.ACCOUNTING),
    recipients: recipientNames(registry),
    pages: pageLinks(config.pagingKeys),
    attachments: attachmentLinks(config.pagingKeys),
    authorizationServers: authorizationServers(registry),
  };
  return {
    ports,
    numbers,
    audienceOf,
    namesOf,
    jwts,
    keysOfOthers,
    registry,
    credentials,
    origins,
    issuers,
    logOf,
    place,
  };
}
