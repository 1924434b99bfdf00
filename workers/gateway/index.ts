import "./bundle-order.ts";
import type { LinesRequest } from "#audit/accounting/disclosures";
import type { AccountingToWrite } from "#audit/accounting/written";
import { gatewayApp } from "#gateway/http/app";
import { Trace } from "#gateway/trace/trace";
import { logsFor } from "#ledger/shard-choice";
import { gatewayConfig } from "#platform/config/gateway-config";
import { isolateCodes } from "#platform/codes/isolate/isolate-codes";
import { configurationRecord } from "#platform/ledger/client/configuration-record";
import { browserPages } from "#platform/registry/browser-pages";
import { allOrigins } from "#platform/registry/origin-directory";
import { probeStates } from "#platform/origins/probe-states";
import { guardDenials, refreshingGuard } from "#platform/guard/isolate/denials";
import { guardMemory } from "#platform/guard/isolate/assertion-memory";
import { answerSigner } from "#platform/keys/answer-signer";
import { assertionVerifier } from "#platform/keys/assertion-verifier";
import { tokenIssuer } from "#platform/keys/token-issuer";
import { originKeys } from "#platform/origins/origin-keys";
import { keptForASecond, logStates } from "#platform/config/log-states";
import { readiness } from "#platform/config/readiness";
import { originStates } from "#platform/origins/origin-states";
import { traceSender } from "#platform/traces/trace-sender";
import { inTime, originMilliseconds, partInTime, withinBudget } from "#platform/deadlines";
import { tokenApp } from "#token/app";
import { openCore } from "./core.ts";

/** The gateway worker: joins the gateway and the built-in issuer to their Cloudflare bindings. */
function open(env: GatewayEnv): (request: Request) => Promise<Response> {
  const config = gatewayConfig(env);
  const { publicUrl, mtlsUrl, placement } = config;
  const issuer = tokenIssuer({
    issuer: publicUrl,
    key: config.tokenSigningKey,
    others: config.tokenVerificationKeys,
  });
  const core = openCore(env, config, issuer, {
    codesOf: isolateCodes(
      () => env.CODE_BOOK,
      () => clock(),
    ),
    inForm: async (...asked) => inTime("codes", async () => await env.CODE_BOOK.inForm(...asked)),
    unknownAmong: async (codes) => inTime("codes", async () => await env.CODE_BOOK.unknownAmong(codes)),
  });
  const { ports, numbers, audienceOf, namesOf, credentials, origins, logOf, place, registry } = core;
  const { clock } = ports;
  const states = originStates({
    list: () => allOrigins(env.REGISTRY),
    credentials,
    allowed: config.allowed,
    clock,
    keepAlive: place.keepAlive,
    wait: place.wait,
  });
  const configured = configurationRecord(config.described, ports.ledger, ports);
  const { keepAlive, newId } = ports;
  const traces =
    config.traces &&
    traceSender(config.traces, { secrets: credentials.secrets, clock, chance: Math.random, keepAlive });
  const issuing = {
    ...ports,
    configured,
    fhirBase: audienceOf,
    namesOf,
    issuer,
    tokens: core.jwts,
    revoker: refreshingGuard(env.OWN_TOKEN_REVOCATION, env.CLIENT_GUARD, publicUrl),
    memory: guardMemory(env.CLIENT_GUARD),
    denials: guardDenials(env.CLIENT_GUARD),
  };
  const disclosures = partInTime("accounting", env.DISCLOSURES);
  const serving = {
    ...ports,
    configured,
    disclosures: {
      linesOf: (request: LinesRequest) => disclosures.linesOf(request),
      write: (accounting: AccountingToWrite) => disclosures.write(accounting),
    },
    beginTrace:
      traces &&
      ((request: string) =>
        traces.isInSample() ? new Trace(request, { newId, clock, onEnd: traces.send }) : undefined),
    exports: (request: Request) => inTime("jobs", () => env.EXPORT_DOOR.fetch(request)),
    answers: answerSigner({ key: config.responseSigningKey, others: config.responseVerificationKeys, clock }),
    originKeys: async (name: string) => {
      const origin = await origins.find(name);
      return origin && originKeys(origin, credentials);
    },
    browserPages: browserPages(registry),
    anonymousCalls: env.ANONYMOUS_CALLS,
    unprovenCalls: env.UNPROVEN_CALLS,
    provenCalls: env.PROVEN_CALLS,
    onFlood: (flooded: string) => numbers.add("phylax_flood_refusals", [flooded]),
    onAnswer: (milliseconds: number, isFault: boolean) => {
      numbers.waited("request", milliseconds);
      numbers.waited("added", milliseconds - originMilliseconds(clock()));
      if (isFault) numbers.add("phylax_faults", []);
    },
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
      assertions: assertionVerifier({ issuer: publicUrl, tokenEndpoint }, core.keysOfOthers),
    });
    return gatewayApp({ ...serving, askedUrl, fhirBase: (origin) => `${askedUrl}/v1/fhir/${origin}` }, token);
  };
  const door = doorAt(publicUrl);
  const second = mtlsUrl === undefined ? undefined : { host: new URL(mtlsUrl).host, door: doorAt(mtlsUrl) };
  // An unknown host name counts as the public name: a proof or a link never carries a name that only the
  // request states.
  return (request) =>
    (second !== undefined && new URL(request.url).host === second.host ? second.door : door).fetch(request);
}

let doors: ReturnType<typeof open> | undefined; // settled once, shared by every request of the isolate

export default {
  fetch: (request, env) => withinBudget(() => (doors ??= open(env))(request)),
} satisfies ExportedHandler<GatewayEnv>;
