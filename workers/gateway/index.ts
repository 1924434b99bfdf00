import { waitUntil } from "cloudflare:workers";
import type { Hono } from "hono";
import type { LinesAsked } from "#audit/disclosures";
import { gatewayApp } from "#gateway/app";
import { compiledPolicies } from "#gateway/compiled-policies";
import { instant } from "#kernel/clock";
import { chooseLog } from "#ledger/shard-choice";
import { accountingConfig } from "#platform/accounting-config";
import { askServer } from "#platform/ask-server";
import { gatewayConfig } from "#platform/config";
import { configurationRecord } from "#platform/durable/configuration-record";
import { authorizationServers } from "#platform/d1/authorization-servers";
import { browserPages } from "#platform/d1/browser-pages";
import { certificateHolders } from "#platform/d1/certificate-holders";
import { clientDirectory } from "#platform/d1/client-directory";
import { heedNews } from "#platform/d1/heed-news";
import { issuerDirectory } from "#platform/d1/issuer-directory";
import { originDirectory } from "#platform/d1/origin-directory";
import { policyShelf } from "#platform/d1/policy-shelf";
import { RegistryReader } from "#platform/d1/registry-reader";
import { ClientGuard } from "#platform/durable/client-guard";
import { guardDenials, heeded } from "#platform/durable/guard-denials";
import { guardLimiter } from "#platform/durable/guard-limiter";
import { guardMemory } from "#platform/durable/guard-memory";
import { ledgerProver } from "#platform/durable/ledger-prover";
import { ledgerSink } from "#platform/durable/ledger-sink";
import { answerSigner } from "#platform/jose/answer-signer";
import { assertionVerifier } from "#platform/jose/assertion-verifier";
import { keySets } from "#platform/key-sets";
import { proofVerifier } from "#platform/jose/proof-verifier";
import { requestSignatures } from "#platform/jose/request-signatures";
import { tokenIssuer } from "#platform/jose/token-issuer";
import { tokenVerifier } from "#platform/jose/token-verifier";
import { log } from "#platform/log";
import { originTokens } from "#platform/origin-tokens";
import { pageLinks } from "#platform/page-links";
import { withOpaqueTokens } from "#platform/opaque-tokens";
import { originAddress } from "#platform/origin-address";
import { readiness } from "#platform/readiness";
import { upstream } from "#platform/upstream";
import { tokenApp } from "#token/app";

export { ClientGuard };

/** The front door: joins the gateway and the built-in issuer to what Cloudflare gives them. */
function open(env: GatewayEnv): (request: Request) => Hono {
  const config = gatewayConfig(env);
  const { publicUrl, mtlsUrl, ledgerShards, ledgerSpread } = config;
  const clock = () => instant(Date.now());
  const newId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const audienceOf = (origin: string) => `${publicUrl}/v1/fhir/${origin}`; // whichever name is asked: a token is good under both
  const namesOf = (base: string) => [base, ...(mtlsUrl === undefined ? [] : [mtlsUrl + base.slice(publicUrl.length)])];
  const ledger = ledgerSink(env.LEDGER_SHARD, ledgerShards, clock);
  const registry = new RegistryReader(env.REGISTRY, clock);
  const clients = clientDirectory(registry);
  const origins = originDirectory(registry);
  const issuers = issuerDirectory(registry);
  const ask = askServer(config.identityHosts);
  const place = { clock, wait: (milliseconds: number) => scheduler.wait(milliseconds), keepAlive: waitUntil };
  const keysOfOthers = keySets(ask, place);
  const tokensOfOrigins = originTokens(ask, place);
  const secretOf = (name: string): unknown => Reflect.get(env, name);
  const proofs = proofVerifier(config.dpopNonceKey);
  const issuer = tokenIssuer({ issuer: publicUrl, key: config.tokenSigningKey, others: config.tokenVerificationKeys });
  const jwts = tokenVerifier({ issuer: publicUrl, keys: issuer, issuers, keySets: keysOfOthers, namesOf });

  const onFault = (fault: { readonly requestId: string; readonly name: string }) => log({ event: "fault", ...fault });
  const configured = configurationRecord(config.described, ledger, { clock, newId });
  const shared = { publicUrl, ledger, configured, ledgerSpread, clients, clock, newId, proofs, onFault };
  const issuing = {
    ...shared,
    fhirBase: audienceOf,
    issuer,
    keepAlive: waitUntil,
    mtlsUrl,
    tokens: jwts,
    revoker: heeded(env.OWN_TOKEN_REVOCATION, env.CLIENT_GUARD, publicUrl),
    memory: guardMemory(env.CLIENT_GUARD),
    denials: guardDenials(env.CLIENT_GUARD),
  };
  const serving = {
    ...shared,
    recordProver: ledgerProver(env.LEDGER_SHARD, place.wait),
    audienceOf,
    tokens: withOpaqueTokens(jwts, { issuers, holders: certificateHolders(registry), ask, secretOf, clock, namesOf }),
    signatures: requestSignatures(keysOfOthers),
    answers: answerSigner({ key: config.responseSigningKey, others: config.responseVerificationKeys, clock }),
    limiter: guardLimiter({
      guards: env.CLIENT_GUARD,
      clock,
      newId,
      waitUntil,
      onNews: heedNews(registry, { client: clients, origin: origins, issuer: issuers }),
    }),
    policies: compiledPolicies(policyShelf(registry)),
    origins: upstream({
      find: async (name) => {
        const origin = await origins.find(name);
        return origin && originAddress(origin, secretOf, tokensOfOrigins);
      },
      hosts: config.originHosts,
      clock,
    }),
    disclosures: { linesOf: (asked: LinesAsked) => env.DISCLOSURES.linesOf(asked) },
    accounting: accountingConfig(env.ACCOUNTING),
    pages: pageLinks(config.pagingKey),
    browserPages: browserPages(registry),
    authorizationServers: authorizationServers(registry),
    anonymousCalls: env.ANONYMOUS_CALLS,
    unprovenCalls: env.UNPROVEN_CALLS,
    provenCalls: env.PROVEN_CALLS,
    jitter: Math.random,
    dependencies: () => readiness(env.REGISTRY, env.LEDGER_SHARD, chooseLog({ kind: "address", address: "" }, ledgerShards, clock())),
  };
  /** The whole surface under one configured name: what proofs, assertions and links name is the name that was asked. */
  const doorAt = (askedUrl: string): Hono => {
    const tokenEndpoint = `${askedUrl}/oauth/token`;
    const token = tokenApp({
      ...issuing,
      tokenEndpoint,
      assertions: assertionVerifier({ issuer: publicUrl, tokenEndpoint }, keysOfOthers),
    });
    const gateway = gatewayApp({ ...serving, askedUrl, fhirBase: (origin) => `${askedUrl}/v1/fhir/${origin}` });
    return gateway.route("/", token); // under the gateway, whose word for unknown paths and faults holds for both
  };
  const door = doorAt(publicUrl);
  const second = mtlsUrl === undefined ? undefined : { host: new URL(mtlsUrl).host, door: doorAt(mtlsUrl) };
  // Any other name counts as the public one: a proof or a link never names what a request merely says.
  return ({ url }) => (second !== undefined && new URL(url).host === second.host ? second.door : door);
}

let doors: ReturnType<typeof open> | undefined; // settled once, shared by every request of the isolate

export default {
  fetch: (request, env, context) => (doors ??= open(env))(request).fetch(request, env, context),
} satisfies ExportedHandler<GatewayEnv>;
