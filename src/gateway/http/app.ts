import { originName } from "#fhir/origin";
import { asksForAsync } from "#fhir/preconditions";
import { afterConfiguration } from "#audit/after-configuration";
import { TimelyBody } from "#entrypoint/timely-body";
import type { AuthorizationServers } from "#registry/ports";
import type { Clock } from "#kernel/clock";
import { edgeFactsOf, type EdgeFacts } from "#entrypoint/edge";
import { HeaderValues, type RequestHeaders } from "#entrypoint/header-values";
import { Router } from "#entrypoint/router";
import { outcomeAnswer } from "./answer.ts";
import { setRetryAfter, unavailableAdvice } from "#entrypoint/retry-after";
import { letPageRead } from "./page-reads.ts";
import { addBrowserApps, registeredPage, type BrowserAppPorts } from "./browser-apps.ts";
import { addDiscovery, type Discovery } from "./discovery.ts";
import { addFloodFilter, turnedAway, type FloodPorts } from "./flood-filter.ts";
import { serve, type FhirDoorPorts } from "./fhir-door.ts";
import { LedgerTurns } from "./ledger-turns.ts";

/** The addresses of exports and jobs, which the worker `jobs` answers. */
const exportAddress = new RegExp(
  String.raw`^https?://[^/?#]+/v1/fhir/${originName}/(?:Patient/|Group/[^/?#]+/)?\$export(?:-status|-file)?(?:[/?#]|$)`,
  "u",
);
const baseAddress = new RegExp(String.raw`^https?://[^/?#]+/v1/fhir/${originName}/?(?:[?#]|$)`, "u");

/** A batch or a transaction that is to be done as a job. */
const isJob = ({ method, url, headers }: Request): boolean =>
  method === "POST" && asksForAsync(headers.get("prefer")) && baseAddress.test(url);

export interface GatewayAppPorts extends FhirDoorPorts, BrowserAppPorts, FloodPorts {
  readonly publicUrl: string;
  /** The host that asks for client certificates, if the issuer's own host does not: `https://host[:port]`. */
  readonly mtlsUrl: string | undefined;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  readonly clock: Clock;
  readonly authorizationServers: AuthorizationServers;
  /** See {@link Discovery}. */
  readonly originKeys: Discovery["originKeys"];
  /** Passes a request on as it came. */
  readonly exports: (request: Request) => Promise<Response>;
  /** Called at the head of each FHIR answer. `isFault`: 503, and the fault is not on record. */
  readonly onAnswer?: (milliseconds: number, isFault: boolean) => void;
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

/**
 * The gateway's HTTP surface.
 *
 * @param issuer the addresses of the built-in issuer. The gateway answers unknown paths and faults for both.
 */
export function gatewayApp(
  ports: GatewayAppPorts,
  issuer?: Router,
): { readonly fetch: (request: Request) => Promise<Response> } {
  const router = new Router(ports);
  const answerFhir = fhirAnswerer(ports);

  router.on("GET", "/healthz", () => Response.json({ status: "ok" }));
  addBrowserApps(router, ports); // preflights cost nothing and are not counted
  addFloodFilter(router, ports);
  router.on("GET", "/readyz", async () => {
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
  addDiscovery(router, ports);
  router.on("*", "/v1/fhir/*", (request) =>
    exportAddress.test(request.url) || isJob(request) ? ports.exports(request) : answerFhir(arrived(request)),
  );
  if (issuer !== undefined) router.add(issuer);

  // Most calls read a resource or search a type. The chain of handlers would cost such a call more than its
  // admission.
  const fetchResource = async (request: Request): Promise<Response> => {
    try {
      const call = arrived(request);
      return (await turnedAway(call, ports)) ?? (await answerFhir(call));
    } catch (fault) {
      return router.failed(fault);
    }
  };
  return {
    fetch: (request) =>
      request.method === "GET" && resourceAddress.test(request.url)
        ? fetchResource(request)
        : router.fetch(request),
  };
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
    const at = ports.clock();
    let isFault = false;
    // during authentication and the origin's answer
    const configured = ports.configured();
    const page = headers.has("origin") ? await registeredPage(headers, ports.browserPages) : undefined;
    const body = raw.body && new TimelyBody(raw.body);
    try {
      ledgerQueue.admit();
      const turn = turns.of(id, at);
      const trace = ports.beginTrace?.(id);
      const arrival = { id, turn, at, method, url, headers, body, tlsClientAuth, continent, page, trace };
      const answer = serve(arrival, configured === undefined ? usual : configuring(configured));
      // Without this the runtime ends the work when the sender leaves, and there is no record of the request.
      if (body !== null) keepAlive(settled(answer));
      return await answer;
    } catch (fault) {
      // A dependency failed, perhaps the ledger: nothing is disclosed, and the answer says only the id.
      isFault = true;
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
      ports.onAnswer?.(ports.clock() - at, isFault);
      await body?.dropRest();
    }
  };
}

const faultText = `Not available just now. ${unavailableAdvice} Repeat a write with its Idempotency-Key, or read first whether it was done.`;

async function settled(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined); // the caller that awaits the answer handles the fault
}
