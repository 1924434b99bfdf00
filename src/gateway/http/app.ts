import { originName } from "#fhir/origin";
import type { Hono } from "hono";
import { HonoBase } from "hono/hono-base";
import { TrieRouter } from "hono/router/trie-router";
import { afterConfiguration } from "#audit/after-configuration";
import { TimelyBody } from "#entrypoint/timely-body";
import type { AuthorizationServers } from "#registry/ports";
import type { Clock } from "#kernel/clock";
import { baseHeaders } from "#entrypoint/base-headers";
import { edgeFactsOf, type EdgeFacts } from "#entrypoint/edge";
import { HeaderValues, type RequestHeaders } from "#entrypoint/header-values";
import { problemAnswer } from "#entrypoint/problem";
import { outcomeAnswer } from "./answer.ts";
import { setRetryAfter, unavailableAdvice } from "#entrypoint/retry-after";
import { letPageRead } from "./page-reads.ts";
import { addBrowserApps, registeredPage, type BrowserAppPorts } from "./browser-apps.ts";
import { addDiscovery } from "./discovery.ts";
import { addFloodFilter, turnedAway, type FloodPorts } from "./flood-filter.ts";
import { serve, type FhirDoorPorts } from "./fhir-door.ts";
import { LedgerTurns } from "./ledger-turns.ts";

export interface GatewayAppPorts extends FhirDoorPorts, BrowserAppPorts, FloodPorts {
  readonly publicUrl: string;
  /** The host that asks for client certificates, if the issuer's own host does not: `https://host[:port]`. */
  readonly mtlsUrl: string | undefined;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  readonly clock: Clock;
  readonly authorizationServers: AuthorizationServers;
  /** Puts the configuration of this isolate on record; undefined: that was done. Throws when it cannot. */
  readonly configured: () => Promise<void> | undefined;
  /** Says for each dependency whether it answers; the keys are shown. */
  readonly dependencies: () => Promise<Readonly<Record<string, boolean>>>;
  /** The state of each log: `good`, `degraded`, `refusing`, `sealed` or `unreachable`. */
  readonly logStates?: () => Promise<Readonly<Record<string, string>>>;
  /** The result of the last probe of each origin, by name. */
  readonly probeStates?: () => Promise<Readonly<Record<string, string>>>;
  /**
   * The state of each origin, by name. A failed or wrongly configured origin does not make the gateway
   * unready.
   */
  readonly originStates?: () => Promise<Readonly<Record<string, string>>>;
}

/**
 * The address of a type or of a single resource. No public document and no operation has a capital letter
 * there. A further address, perhaps the same address in a different spelling, is found by the router.
 */
const resourceAddress = new RegExp(
  String.raw`^https?://[^/?#]+/v1/fhir/${originName}/[A-Z][A-Za-z]*(?:/[A-Za-z0-9.-]+)?(?:\?|$)`,
  "u",
);

/** The gateway's HTTP surface. Hono's context ends here. */
export function gatewayApp(ports: GatewayAppPorts): Hono {
  // Hono's second router, for a handful of routes, costs 1.5 KiB of the bundle.
  const app: Hono = new HonoBase({ router: new TrieRouter() });
  const answerFhir = fhirAnswerer(ports);

  app.get("/healthz", (context) => context.json({ status: "ok" }));
  addBrowserApps(app, ports); // preflights cost nothing and are not counted
  addFloodFilter(app, ports);
  app.get("/readyz", async () => {
    const [dependencies, logs, origins, probes] = await Promise.all([
      ports.dependencies(),
      ports.logStates?.(),
      ports.originStates?.(),
      ports.probeStates?.(),
    ]);
    const ready = Object.values(dependencies).every(Boolean);
    const body = { status: ready ? "ready" : "not ready", dependencies, logs, origins, probes };
    const headers = new Headers({ "cache-control": "no-store" });
    const status = ready ? 200 : 503;
    setRetryAfter(status, headers);
    return Response.json(body, { status, headers });
  });
  addDiscovery(app, ports);
  app.all("/v1/fhir/*", ({ req: { raw } }) => answerFhir(arrived(raw)));

  // RFC 9457, for addresses outside FHIR.
  app.notFound(() => problem(ports.newId(), 404, "Not Found"));
  const failed = (fault: Error): Response => {
    const id = ports.newId();
    ports.onFault({ requestId: id, name: fault.name });
    return problem(id, 503, "Service Unavailable");
  };
  app.onError(failed);
  // Most calls read a resource or search a type. The router, its context and its chain of handlers would cost
  // such a call more than its admission.
  const fetchByRoute = app.fetch;
  const fetchResource = async (request: Request): Promise<Response> => {
    try {
      const call = arrived(request);
      return (await turnedAway(call, ports)) ?? (await answerFhir(call));
    } catch (fault) {
      return failed(fault instanceof Error ? fault : new Error("unknown"));
    }
  };
  app.fetch = (request, ...further) =>
    request.method === "GET" && resourceAddress.test(request.url)
      ? fetchResource(request)
      : fetchByRoute(request, ...further);
  return app;
}

/** A request whose headers and facts of the edge were read once. */
interface Arrived extends EdgeFacts {
  readonly raw: Request;
  readonly headers: RequestHeaders;
}

function arrived(raw: Request): Arrived {
  const { tlsClientAuth, continent } = edgeFactsOf(raw);
  return { raw, headers: new HeaderValues(raw.headers), tlsClientAuth, continent };
}

/** Answers calls at the FHIR bases. A fault of a dependency is answered here, and nothing is disclosed. */
function fhirAnswerer(ports: GatewayAppPorts): (call: Arrived) => Promise<Response> {
  const { ledgerQueue, keepAlive } = ports;
  const turns = new LedgerTurns();
  const usual: FhirDoorPorts = { ...ports, ledger: ledgerQueue.counted(ports.ledger) };
  /** The ports of a request that also puts the configuration on record. */
  const configuring = (configured: Promise<void>): FhirDoorPorts => ({
    ...ports,
    ledger: ledgerQueue.counted(afterConfiguration(ports.ledger, configured)),
  });
  return async ({ raw, headers, tlsClientAuth, continent }) => {
    const { method, url } = raw;
    const id = ports.newId();
    // during authentication and the origin's answer
    const configured = ports.configured();
    const page = headers.has("origin") ? await registeredPage(headers, ports.browserPages) : undefined;
    const body = raw.body && new TimelyBody(raw.body);
    try {
      ledgerQueue.admit();
      const at = ports.clock();
      const turn = turns.of(id, at);
      const arrival = { id, turn, at, method, url, headers, body, tlsClientAuth, continent, page };
      const answer = serve(arrival, configured === undefined ? usual : configuring(configured));
      // Without this the runtime ends the work when the sender leaves, and there is no record of the request.
      if (body !== null) keepAlive(settled(answer));
      return await answer;
    } catch (fault) {
      // A dependency failed, perhaps the ledger: nothing is disclosed, and the answer says only the id.
      ports.onFault({ requestId: id, name: fault instanceof Error ? fault.name : "unknown" });
      const extra = new Headers();
      letPageRead(extra, page);
      return outcomeAnswer(
        id,
        { status: 503, code: "transient", text: faultText },
        "application/fhir+json",
        extra,
      );
    } finally {
      await body?.dropRest();
    }
  };
}

const faultText = `Not available just now. ${unavailableAdvice} Repeat a write with its Idempotency-Key, or read first whether it was done.`;

async function settled(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined); // the caller that awaits the answer handles the fault
}

const problem = (requestId: string, status: number, title: string): Response =>
  problemAnswer(requestId, { title, status }, baseHeaders(requestId));
