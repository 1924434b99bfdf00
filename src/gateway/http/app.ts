import { Hono } from "hono";
import { afterConfiguration } from "#audit/after-configuration";
import { TimelyBody } from "#entrypoint/timely-body";
import type { AuthorizationServers } from "#registry/ports";
import type { Clock } from "#kernel/clock";
import { baseHeaders } from "#entrypoint/base-headers";
import { continentOf, tlsClientAuthOf } from "#entrypoint/edge";
import { problemAnswer } from "#entrypoint/problem";
import { outcomeAnswer } from "#gateway/answer/answer";
import { LedgerBusy } from "#gateway/answer/ledger-queue";
import { letPageRead } from "#gateway/answer/page-reads";
import { addBrowserApps, registeredPage, type BrowserAppPorts } from "./browser-apps.ts";
import { addDiscovery } from "./discovery.ts";
import { addFloodFilter, type FloodPorts } from "./flood-filter.ts";
import { serve } from "#gateway/pipeline";
import type { GatewayPorts } from "#gateway/ports";

export interface GatewayAppPorts extends Omit<GatewayPorts, "keepAlive">, BrowserAppPorts, FloodPorts {
  readonly publicUrl: string;
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  readonly clock: Clock;
  readonly authorizationServers: AuthorizationServers;
  /** Puts the configuration of this isolate on record, unless that was done. Throws when it cannot. */
  readonly configured: () => Promise<void>;
  /** Says for each dependency whether it answers; the keys are shown. */
  readonly dependencies: () => Promise<Readonly<Record<string, boolean>>>;
  /**
   * The state of each origin, by name. A failed or wrongly configured origin does not make the gateway
   * unready.
   */
  readonly originStates?: () => Promise<Readonly<Record<string, string>>>;
  /** Called with the kind of a fault, never with its message: the message may quote data. */
  readonly onFault: (fault: { readonly requestId: string; readonly name: string }) => void;
}

/** The gateway's HTTP surface. Hono's context ends here. */
export function gatewayApp(ports: GatewayAppPorts): Hono {
  const app = new Hono();

  app.get("/healthz", (context) => context.json({ status: "ok" }));
  addBrowserApps(app, ports); // preflights cost nothing and are not counted
  addFloodFilter(app, ports);
  app.get("/readyz", async (context) => {
    const [dependencies, origins] = await Promise.all([ports.dependencies(), ports.originStates?.()]);
    const ready = Object.values(dependencies).every(Boolean);
    const body = { status: ready ? "ready" : "not ready", dependencies, origins };
    return context.json(body, ready ? 200 : 503, { "cache-control": "no-store" });
  });
  addDiscovery(app, ports);

  app.all("/v1/fhir/*", async (context) => {
    const { raw } = context.req;
    const id = ports.newId();
    // during authentication and the origin's answer
    const ledger = ports.ledgerQueue.counted(afterConfiguration(ports.ledger, ports.configured()));
    const page = await registeredPage(raw.headers, ports.browserPages);
    const keepAlive = (work: Promise<void>) => context.executionCtx.waitUntil(work);
    const body = raw.body && new TimelyBody(raw.body);
    try {
      ports.ledgerQueue.admit();
      const [tlsClientAuth, continent] = [tlsClientAuthOf(raw), continentOf(raw)];
      const { method, url, headers } = raw;
      const arrival = { id, at: ports.clock(), method, url, headers, body, tlsClientAuth, continent, page };
      const answer = serve(arrival, { ...ports, ledger, keepAlive });
      // Without this the runtime ends the work when the sender leaves, and there is no record of the request.
      if (raw.body !== null) keepAlive(settled(answer));
      return await answer;
    } catch (fault) {
      // A dependency failed, perhaps the ledger: nothing is disclosed, and the answer says only the id.
      ports.onFault({ requestId: id, name: fault instanceof Error ? fault.name : "unknown" });
      const headers = new Headers();
      letPageRead(headers, page);
      if (fault instanceof LedgerBusy) headers.set("retry-after", String(fault.retryAfterSeconds));
      return outcomeAnswer(
        id,
        { status: 503, code: "transient", text: "Not available just now." },
        "application/fhir+json",
        headers,
      );
    } finally {
      await body?.dropRest();
    }
  });

  // RFC 9457, for addresses outside FHIR.
  app.notFound(() => problem(ports.newId(), 404, "Not Found"));
  app.onError((fault) => {
    const id = ports.newId();
    ports.onFault({ requestId: id, name: fault.name });
    return problem(id, 503, "Service Unavailable");
  });
  return app;
}

async function settled(work: Promise<unknown>): Promise<void> {
  await work.catch(() => undefined); // the caller that awaits the answer handles the fault
}

const problem = (requestId: string, status: number, title: string): Response =>
  problemAnswer(requestId, { title, status }, baseHeaders(requestId));
