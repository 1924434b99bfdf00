import { Hono } from "hono";
import { afterConfiguration } from "#audit/after-configuration";
import type { IncomingBody } from "#entrypoint/bounded-body";
import { addressOf, tlsClientAuthOf } from "#entrypoint/edge";
import { baseHeaders, setAll } from "#entrypoint/base-headers";
import { TimelyBody } from "#entrypoint/timely-body";
import { certificateAtEdge } from "#identity/certificate/certificate";
import { Secret } from "#kernel/secret";
import { floodRetrySeconds, isBelowFlood } from "#limits/flood";
import { administer, type Submission, type Verb } from "./administer.ts";
import { json, problem } from "./answer.ts";
import { openApiDocument } from "./openapi.ts";
import { openApiPage } from "./openapi-page.ts";
import { metricsVerb } from "./metrics.ts";
import { listOperatorsVerb, removeOperatorVerb, suspendOperatorVerb } from "./operators.ts";
import {
  applyRegistryVerb,
  changeRegistryVerb,
  listClientsVerb,
  planRegistryVerb,
  showRegistryVerb,
} from "./change-registry.ts";
import { listConsentsVerb, refileConsentsVerb } from "./consents.ts";
import { listProbesVerb, recordProbeVerb } from "./origin-probe.ts";
import type { AdminPorts } from "./ports.ts";
import {
  approveVerb,
  closeProposalVerb,
  listProposalsVerb,
  proposeVerb,
  showProposalVerb,
} from "./proposals.ts";
import { listAlertsVerb, silenceAlertsVerb, unsilenceAlertsVerb } from "./tasks/alerts.ts";
import { endDataSetVerb } from "./tasks/data-sets.ts";
import { cancelExportVerb, listExportsVerb } from "./tasks/exports.ts";
import { listAuthoritiesVerb } from "./tasks/authorities.ts";
import {
  acceptCaseVerb,
  confirmCaseVerb,
  denyCaseVerb,
  extendCaseVerb,
  listCasesVerb,
  stateCaseVerb,
  unstateCaseVerb,
  openCaseVerb,
  voidCaseVerb,
  findNoticesVerb,
  nameNoticeVerb,
  sendNoticeVerb,
  waiveNoticeVerb,
} from "./tasks/cases.ts";
import { closeReviewVerb, listReviewsVerb } from "./tasks/review.ts";
import { tailVerb } from "./tasks/tail.ts";
import { liftVerb, revokeVerb } from "./revoke.ts";
import { restoreLedgerVerb } from "./restore-ledger.ts";
import { suspendAccountingVerb } from "./suspend-accounting.ts";

/** The operators' HTTP surface. Hono's context ends here. */
export function adminApp(ports: AdminPorts): Hono {
  const app = new Hono();

  app.get("/healthz", () => json(ports.newId(), 200, { status: "ok" }));
  // The filter stands before certificates, sign-ins, registry and ledger. It records nothing: otherwise a
  // flood could fill the ledger.
  app.use(async ({ req: { raw } }, next) => {
    const caller = { certificate: certificateAtEdge(tlsClientAuthOf(raw)), address: addressOf(raw.headers) };
    if (await isBelowFlood(ports.calls, "ops", caller)) return next();
    return problem(
      ports.newId(),
      { status: 429, title: "Too Many Requests" },
      { "retry-after": String(floodRetrySeconds) },
    );
  });

  app.get("/readyz", async () => {
    const [dependencies, halfYear] = await Promise.all([ports.dependencies(), ports.halfYear()]);
    const ready = Object.values(dependencies).every(Boolean);
    return json(ports.newId(), ready ? 200 : 503, {
      status: ready ? "ready" : "not ready",
      dependencies,
      ...(halfYear !== undefined && { ledger: halfYear }),
    });
  });

  const verbs = adminVerbs(ports);
  app.get("/api/openapi.json", () => json(ports.newId(), 200, openApiDocument(verbs, ports.url)));
  app.get("/api/docs", async () => {
    const headers = baseHeaders(ports.newId());
    setAll(headers, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy":
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    });
    return new Response(String(await openApiPage(verbs, ports.url)), { headers });
  });
  for (const verb of verbs) {
    app.on(verb.method, routeOf(verb.path), async ({ req }) => {
      const { raw } = req;
      const id = ports.newId();
      const body = raw.body && new TimelyBody(raw.body);
      try {
        const ledger = afterConfiguration(ports.ledger, ports.configured());
        const answer = administer(
          submissionOf(raw, body, { id, at: ports.clock(), parameters: { ...req.query(), ...req.param() } }),
          { ...ports, ledger },
          verb,
        );
        // A sender who breaks off ends this request. Its refusal or its action still goes on record.
        ports.keepAlive(answer.then(nothing, nothing));
        return await answer;
      } catch (fault) {
        // The answer has the id of the request: the ledger may have an intent under it.
        return unavailable(id, fault, ports);
      } finally {
        await body?.dropRest();
      }
    });
  }
  for (const [path, alike] of Map.groupBy(verbs, (verb) => verb.path)) {
    const allow = alike.map(({ method }) => method).join(", ");
    app.all(routeOf(path), () =>
      problem(ports.newId(), { status: 405, title: "Method Not Allowed" }, { allow }),
    );
  }

  app.notFound(() => problem(ports.newId(), { status: 404, title: "Not Found" }));
  app.onError((fault) => unavailable(ports.newId(), fault, ports));
  return app;
}

/** Each act of an operator. */
export const adminVerbs = (ports: AdminPorts): readonly Verb[] => [
  showRegistryVerb(ports.registry),
  listClientsVerb(ports.registry),
  planRegistryVerb(ports.registry),
  changeRegistryVerb(ports.registry, ports.approvals),
  applyRegistryVerb(ports.registry, ports.approvals),
  recordProbeVerb(ports.registry),
  listProbesVerb(ports.registry),
  proposeVerb(ports.proposals),
  listProposalsVerb(ports.proposals),
  showProposalVerb(ports.proposals),
  approveVerb(ports.proposals),
  closeProposalVerb(ports.proposals),
  listOperatorsVerb(ports.operatorTasks),
  suspendOperatorVerb(ports.operatorTasks),
  removeOperatorVerb(ports.operatorTasks),
  revokeVerb(ports.registry),
  liftVerb(ports.registry, ports.approvals),
  suspendAccountingVerb(ports.accountings),
  restoreLedgerVerb(ports.restores),
  metricsVerb(ports),
  tailVerb(ports),
  listAuthoritiesVerb(ports.registry),
  listReviewsVerb(ports.reviews),
  closeReviewVerb(ports.reviews),
  listCasesVerb(ports.cases),
  confirmCaseVerb(ports.cases),
  openCaseVerb(ports.cases),
  voidCaseVerb(ports.cases),
  extendCaseVerb(ports.cases),
  acceptCaseVerb(ports.cases),
  denyCaseVerb(ports.cases),
  stateCaseVerb(ports.cases),
  unstateCaseVerb(ports.cases),
  findNoticesVerb(ports.cases),
  nameNoticeVerb(ports.cases),
  sendNoticeVerb(ports.cases),
  waiveNoticeVerb(ports.cases),
  endDataSetVerb(ports.dataSets),
  listExportsVerb(ports.exports),
  cancelExportVerb(ports.exports),
  listAlertsVerb(ports.alerts),
  silenceAlertsVerb(ports.alerts, ports.clock),
  unsilenceAlertsVerb(ports.alerts),
  listConsentsVerb(ports.consents),
  refileConsentsVerb(ports.consents),
];

/** A path with its parameters as Hono writes them. */
const routeOf = (path: string): string => `/${path.replaceAll(/\{(\w+)\}/gu, ":$1")}`;

function submissionOf(
  request: Request,
  body: IncomingBody,
  arrival: Pick<Submission, "id" | "at" | "parameters">,
): Submission {
  const { headers } = request;
  const secret = (name: string) => {
    const value = headers.get(name);
    return value === null ? undefined : new Secret(value);
  };
  return {
    ...arrival,
    path: new URL(request.url).pathname.slice(1),
    address: addressOf(headers),
    tlsClientAuth: tlsClientAuthOf(request),
    authorization: secret("authorization"),
    dpop: secret("dpop"),
    contentType: headers.get("content-type"),
    idempotencyKey: headers.get("idempotency-key"),
    ifMatch: headers.get("if-match"),
    ifNoneMatch: headers.get("if-none-match"),
    accept: headers.get("accept"),
    body,
  };
}

const nothing = () => undefined;

function unavailable(requestId: string, fault: unknown, ports: AdminPorts): Response {
  ports.onFault({ requestId, name: fault instanceof Error ? fault.name : "unknown" });
  return problem(requestId, { status: 503, title: "Service Unavailable" });
}
