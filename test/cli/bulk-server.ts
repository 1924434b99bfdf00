import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { TLSSocket } from "node:tls";
import { gzipSync } from "node:zlib";
import {
  ensureAuthority,
  ensureServerCertificate,
  issueClientCertificate,
} from "../../sandbox/certificates.ts";

/** A file of an export, and how it is sent. */
export interface BulkFile {
  readonly type: string;
  readonly lines: readonly string[];
  readonly isGzip?: boolean;
}

/** What the server does, changed by a test between two requests. */
export interface BulkPlan {
  output: BulkFile[];
  deleted: BulkFile[];
  error: BulkFile[];
  /** The manifest has so many files on a page. */
  filesOnPage: number;
  /** Answers before the export is finished. */
  running: { readonly status: number; readonly headers: Record<string, string>; readonly body?: object }[];
  /**
   * The next requests for files: an answer in place of the file, or the bytes after which the transfer breaks, or
   * after which no more bytes come.
   */
  faults: (
    | number
    | { readonly holdsAfter: number }
    | { readonly status: number; readonly headers?: Record<string, string> }
  )[];
  /** Refuses the kick-off. */
  refusal:
    | { readonly status: number; readonly headers?: Record<string, string>; readonly text: string }
    | undefined;
  /** The tokens that were issued so far are no longer valid. */
  endsTokens: boolean;
  cut: number;
  expires: string | undefined;
  /** The address of the first file, in place of the true one. */
  fileUrl: string | undefined;
}

export interface SeenRequest {
  readonly line: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const outcome = (code: string, words: string) => ({
  resourceType: "OperationOutcome",
  issue: [{ severity: "error", code, details: { text: words } }],
});

/**
 * A server of FHIR Bulk Data Access 3.0.0 with one export, over TLS: it takes requests with a token of its own from the
 * certificate of one client alone. It stands in for the gateway until a Worker makes exports.
 */
export async function bulkServer(folder: string) {
  const pki = join(folder, "pki");
  mkdirSync(pki, { recursive: true });
  const { serverCa, clientCa } = await ensureAuthority(pki);
  const { cert, key } = await ensureServerCertificate(pki);
  const client = await issueClientCertificate(pki, "research", "O=Research, CN=research");
  const plan: BulkPlan = {
    output: [],
    deleted: [],
    error: [],
    filesOnPage: 100,
    running: [],
    faults: [],
    refusal: undefined,
    endsTokens: false,
    cut: 1,
    expires: undefined,
    fileUrl: undefined,
  };
  const seen: SeenRequest[] = [];
  let [tokens, isGone, fhir] = [0, true, ""];

  const json = (response: ServerResponse, status: number, body: object, headers: object = {}): void => {
    const type = "resourceType" in body ? "application/fhir+json" : "application/json";
    response.writeHead(status, { "content-type": type, ...headers }).end(JSON.stringify(body));
  };

  const manifest = (response: ServerResponse, page: number): void => {
    const named = (list: readonly BulkFile[], kind: string) =>
      list.map(({ type }, at) => ({ type, url: `${fhir}/$export-file/${kind}/${at}` }));
    const all = named(plan.output, "output");
    if (plan.fileUrl !== undefined && all[0] !== undefined) all[0].url = plan.fileUrl;
    const [from, to] = [(page - 1) * plan.filesOnPage, page * plan.filesOnPage];
    const link = [{ relation: "next", url: `${fhir}/$export-status/job-1?page=${page + 1}` }];
    const body = {
      transactionTime: "2026-11-01T00:00:00.000Z",
      request: `${fhir}/Patient/$export`,
      requiresAccessToken: true,
      output: all.slice(from, to),
      deleted: page === 1 ? named(plan.deleted, "deleted") : [],
      error: named(plan.error, "error"),
      ...(to < all.length && { link }),
    };
    json(response, 200, body, plan.expires === undefined ? {} : { expires: plan.expires });
  };

  const file = (request: IncomingMessage, response: ServerResponse, path: readonly string[]): void => {
    const fault = plan.faults.shift();
    if (typeof fault === "object" && "status" in fault)
      return void response.writeHead(fault.status, fault.headers).end();
    const [kind, at] = path;
    const found = (kind === "output" || kind === "deleted" || kind === "error") && plan[kind][Number(at)];
    if (!found) return json(response, 404, outcome("not-found", "no such file"));
    const plain = Buffer.from(found.lines.map((line) => `${line}\n`).join(""));
    const isGzip = found.isGzip === true && request.headers["accept-encoding"] === "gzip";
    const bytes = isGzip ? gzipSync(plain) : plain;
    const etag = `"${createHash("sha256").update(bytes).update(`${plan.cut}`).digest("hex")}"`;
    const from = /^bytes=(\d+)-$/u.exec(request.headers.range ?? "")?.[1];
    const isRest = from !== undefined && request.headers["if-range"] === etag;
    const start = isRest ? Number(from) : 0;
    const headers = {
      etag,
      "content-type": "application/fhir+ndjson",
      "content-length": bytes.length - start,
      ...(isGzip && { "content-encoding": "gzip" }),
    };
    if (isRest && start >= bytes.length)
      return void response.writeHead(416, { "content-range": `bytes */${bytes.length}` }).end();
    if (isRest)
      response.writeHead(206, {
        ...headers,
        "content-range": `bytes ${start}-${bytes.length - 1}/${bytes.length}`,
      });
    else response.writeHead(200, headers);
    if (fault === undefined) return void response.end(bytes.subarray(start));
    if (typeof fault === "object")
      return void response.write(bytes.subarray(start, start + fault.holdsAfter));
    response.write(bytes.subarray(start, start + fault), () => setTimeout(() => response.destroy(), 20));
  };

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url = "", headers } = request;
    const body = await text(request);
    seen.push({ line: `${method} ${url}`, headers, body });
    const isClient = (request.socket as TLSSocket).getPeerCertificate().subject?.CN === "research"; // an HTTPS server's socket
    if (!isClient) return void response.writeHead(401).end();
    if (url === "/token") return json(response, 200, { access_token: `token-${++tokens}`, expires_in: 300 });
    if (plan.endsTokens) tokens += 1;
    plan.endsTokens = false;
    if (headers.authorization !== `Bearer token-${tokens}`) return void response.writeHead(401).end();
    const [path = "", query] = url.slice("/fhir/main/".length).split("?");
    if (method === "POST" && path.endsWith("$export")) {
      if (plan.refusal !== undefined)
        return json(
          response,
          plan.refusal.status,
          outcome("invalid", plan.refusal.text),
          plan.refusal.headers,
        );
      isGone = false;
      return void response.writeHead(202, { "content-location": `${fhir}/$export-status/job-1` }).end();
    }
    const [kind, ...rest] = path.split("/");
    if (isGone) return json(response, 404, outcome("not-found", "no such export"));
    if (kind === "$export-file") return file(request, response, rest);
    if (method === "DELETE") isGone = true;
    if (method === "DELETE") return void response.writeHead(202).end();
    const standing = plan.running.shift();
    if (standing === undefined)
      return manifest(response, Number(new URLSearchParams(query).get("page") ?? 1));
    json(response, standing.status, standing.body ?? {}, standing.headers);
  };

  const server = createServer(
    {
      cert: readFileSync(cert),
      key: readFileSync(key),
      ca: readFileSync(clientCa.cert),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (request, response) => void answer(request, response),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const gateway = `https://localhost:${(server.address() as AddressInfo).port}`; // a TCP server has an AddressInfo
  fhir = `${gateway}/fhir/main`;
  const state = join(folder, "state");
  mkdirSync(state, { recursive: true });
  writeFileSync(
    join(state, "dev.json"),
    JSON.stringify({
      gateway,
      fhir,
      tokenEndpoint: `${gateway}/token`,
      ca: serverCa.cert,
      clients: [{ id: "research", auth: "tls_client_auth", dpop: false, jwk: null, ...client }],
    }),
  );
  return {
    plan,
    seen,
    state,
    fhir,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
