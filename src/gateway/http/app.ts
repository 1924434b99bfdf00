import { afterConfiguration } from "#audit/after-configuration";
import { TimelyBody } from "#entrypoint/timely-body";
import type { AuthorizationServers } from "#registry/ports";
import type { Clock } from "#kernel/clock";
import { edgeFactsOf, type EdgeFacts } from "#entrypoint/edge";
import { HeaderValues, type RequestHeaders } from "#entrypoint/header-values";
import { type RoutePorts, Routes } from "#entrypoint/routes";
import { outcomeAnswer } from "#gateway/answer/answer";
import { LedgerBusy } from "#gateway/answer/ledger-queue";
import { letPageRead } from "#gateway/answer/page-reads";
import { addBrowserApps, registeredPage, type BrowserAppPorts } from "./browser-apps.ts";
import { addDiscovery } from "./discovery.ts";
import { addFloodFilter, turnedAway, type FloodPorts } from "./flood-filter.ts";
import { serve } from "#gateway/pipeline";
import { LedgerTurns } from "#gateway/record/ledger-turns";
import type { GatewayPorts } from "#gateway/ports";

export interface GatewayAppPorts extends GatewayPorts, BrowserAppPorts, FloodPorts, RoutePorts {
  readonly publicUrl: string;
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
 * there. A further address, perhaps the same address in a different spelling, is found by the routes.
 */
const resourceAddress =
  /^https?:\/\/[^/?#]+\/v1\/fhir\/[a-z][a-z0-9-]{0,31}\/[A-Z][A-Za-z]*(?:\/[A-Za-z0-9.-]+)?(?:\?|$)/u;

/** Answers every request at a host name. */
export type Door = (request: Request) => Promise<Response>;

/** The gateway's HTTP surface. @param addMore adds the addresses of other doors at the same host name. */
export function gatewayApp(ports: GatewayAppPorts, addMore?: (routes: Routes) => void): Door {
  const routes = new Routes(ports);
  const answerFhir = fhirAnswerer(ports);

  routes.on("GET", /^\/healthz$/u, () => Response.json({ status: "ok" }));
  addBrowserApps(routes, ports); // preflights cost nothing and are not counted
  addFloodFilter(routes, ports);
  routes.on("GET", /^\/readyz$/u, () => readiness(ports));
  addDiscovery(routes, ports);
  routes.on("any", /^\/v1\/fhir(?:\/|$)/u, (request) => answerFhir(arrived(request)));
  addMore?.(routes);

  // Most calls read a resource or search a type: no route but the FHIR base's own fits them.
  const answerResource = async (request: Request): Promise<Response> => {
    try {
      const call = arrived(request);
      return (await turnedAway(call, ports)) ?? (await answerFhir(call));
    } catch (fault) {
      return routes.failed(fault);
    }
  };
  return (request) =>
    request.method === "GET" && resourceAddress.test(request.url)
      ? answerResource(request)
      : routes.fetch(request);
}

async function readiness(ports: GatewayAppPorts): Promise<Response> {
  const [dependencies, logs, origins, probes] = await Promise.all([
    ports.dependencies(),
    ports.logStates?.(),
    ports.originStates?.(),
    ports.probeStates?.(),
  ]);
  const ready = Object.values(dependencies).every(Boolean);
  const body = { status: ready ? "ready" : "not ready", dependencies, logs, origins, probes };
  return Response.json(body, { status: ready ? 200 : 503, headers: { "cache-control": "no-store" } });
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
  const usual: GatewayPorts = { ...ports, ledger: ledgerQueue.counted(ports.ledger) };
  /** The ports of a request that also puts the configuration on record. */
  const configuring = (configured: Promise<void>): GatewayPorts => ({
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
      if (fault instanceof LedgerBusy) extra.set("retry-after", String(fault.retryAfterSeconds));
      return outcomeAnswer(
        id,
        { status: 503, code: "transient", text: "Not available just now." },
        "application/fhir+json",
        extra,
      );
    } finally {
      await body?.dropRest();
    }
  };
}

async function settled(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined); // the caller that awaits the answer handles the fault
}
