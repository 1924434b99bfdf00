import { afterConfiguration } from "#audit/after-configuration";
import { serveExport } from "#doors/bulk/bulk-door";
import type { Authorities } from "#doors/bulk/asking";
import type { StoredBundle, StoredJob } from "#doors/bulk/export-jobs";
import { tryBundle } from "#doors/bulk/try-bundle";
import { edgeFactsOf } from "#entrypoint/edge";
import { HeaderValues } from "#entrypoint/header-values";
import { TimelyBody } from "#entrypoint/timely-body";
import { outcomeAnswer } from "#gateway/http/answer";
import type { BundleTry } from "#limits/bundle-run";
import { evidenceText, readEvidence } from "#identity/authority/authority";
import type { ProvenToken } from "#identity/token";
import { partInTime } from "#platform/deadlines";
import { isolateCodes } from "#platform/codes/isolate/isolate-codes";
import type { CodeBook } from "#platform/codes/isolate/code-book";
import { jobsConfig } from "#platform/config/jobs-config";
import { exportShelf } from "#platform/exports/isolate/export-shelf";
import { issuerStandings } from "#platform/keys/issuer-standings";
import { verificationKeys } from "#platform/keys/token-issuer";
import { configurationRecord } from "#platform/ledger/client/configuration-record";
import { openCore } from "../gateway/core.ts";

/** The door of exports and jobs. */
interface ExportsDoor {
  fetch(request: Request): Promise<Response>;
  /** Tries to do a bundle, as it was stored under an id. */
  tryBundle(id: string, stored: string, body: string, number: number): Promise<BundleTry>;
  /** Ends the authority of a bundle. */
  endBundle(stored: string): Promise<void>;
}

/** The door of exports: joins the core and the door's own ports to the Cloudflare bindings. */
export function openExports(env: JobsEnv, book: CodeBook): ExportsDoor {
  const config = jobsConfig(env);
  const { publicUrl, mtlsUrl } = config;
  const keys = verificationKeys(config.tokenVerificationKeys);
  const { ports, numbers, keysOfOthers, issuers, place } = openCore(
    { ...env, ACCOUNTING: "" },
    config,
    keys,
    {
      codesOf: isolateCodes(
        () => book,
        () => ports.clock(),
      ),
      inForm: async (...asked) => await book.inForm(...asked),
      unknownAmong: async (codes) => book.unknownAmong(codes),
    },
  );
  const keeping = partInTime("control", env.AUTHORITY_KEEPING);
  const authorities: Authorities = {
    make: async ({ id, ends, evidence }, { who, token }, task) =>
      await keeping.make({
        id,
        ends,
        client: who.client.id,
        person: { issuer: who.issuer, subject: who.subject },
        token: { issuer: token.issuer, id: token.id, expires: token.expires },
        origin: evidence.origin,
        purpose: evidence.purpose,
        agreement: who.agreement,
        boundTo: thumbprintOf(token.binding),
        task,
        evidence: evidenceText(evidence),
      }),
    use: async (id) => {
      const used = await keeping.use(id);
      const evidence = used && readEvidence(used.evidence);
      return used && evidence && { ends: used.ends, evidence };
    },
    end: (client, id) => keeping.end(client, id),
  };
  // No export asks for an accounting, so this worker cannot read its lines.
  const noLines = () => Promise.reject(new Error("jobs: no accounting"));
  const serving = {
    ...ports,
    disclosures: { linesOf: noLines, write: noLines },
    authorities,
    issuers: issuerStandings({
      builtIn: { iss: publicUrl, publicKeys: keys.publicKeys },
      issuers,
      keySets: keysOfOthers,
    }),
    exports: exportShelf<StoredJob>(env),
    wait: place.wait,
    jitter: Math.random,
  };
  const configuration = configurationRecord(config.described, ports.ledger, ports);
  const { ledgerQueue, keepAlive, onFault, clock } = ports;
  /** The ports of a request under the configured name that it called. */
  const portsAt = (askedUrl: string) => {
    const configured = configuration();
    const ledger = ledgerQueue.counted(
      configured === undefined ? ports.ledger : afterConfiguration(ports.ledger, configured),
    );
    return { ...serving, ledger, askedUrl, fhirBase: (origin: string) => `${askedUrl}/v1/fhir/${origin}` };
  };
  /** An unknown host name counts as the public name. */
  const askedUrlOf = ({ url }: Request) =>
    mtlsUrl !== undefined && new URL(url).host === new URL(mtlsUrl).host ? mtlsUrl : publicUrl;
  const fetch = async (request: Request): Promise<Response> => {
    const { tlsClientAuth, continent } = edgeFactsOf(request);
    const id = ports.newId();
    const configured = portsAt(askedUrlOf(request));
    const { method, url, headers } = request;
    const body = request.body && new TimelyBody(request.body);
    const arrival = {
      id,
      at: clock(),
      method,
      url,
      headers: new HeaderValues(headers),
      body,
      tlsClientAuth,
      continent,
    };
    try {
      ledgerQueue.admit();
      const answer = serveExport(arrival, configured);
      // Without this the runtime ends the work when the sender leaves, and there is no record of the request.
      if (body !== null)
        keepAlive(
          answer.then(
            () => undefined,
            () => undefined,
          ),
        );
      return await answer;
    } catch (fault) {
      numbers.add("phylax_faults", []);
      onFault({ requestId: id, name: fault instanceof Error ? fault.name : "unknown" });
      return outcomeAnswer(
        id,
        { status: 503, code: "transient", text: unavailable },
        "application/fhir+json",
      );
    }
  };
  return {
    fetch,
    tryBundle: async (id, text, body, number) => {
      const stored = JSON.parse(text) as StoredJob; // as it was stored
      if (stored.id !== id || stored.level !== "bundle") throw new Error("jobs: no bundle of this id");
      try {
        ledgerQueue.admit();
        return await tryBundle(stored, body, number, portsAt(new URL(stored.base).origin));
      } catch (fault) {
        numbers.add("phylax_faults", []);
        onFault({ requestId: id, name: fault instanceof Error ? fault.name : "unknown" });
        throw fault;
      }
    },
    endBundle: async (text) => {
      const { client, authority } = JSON.parse(text) as StoredBundle; // as it was stored
      await authorities.end(client, authority);
    },
  };
}

/** Of the certificate or the key of a token: no unbound token makes an authority. */
function thumbprintOf(binding: ProvenToken["binding"]): string {
  if (binding.kind === "none") throw new Error("jobs: an unbound token makes no authority");
  return binding.kind === "key" ? binding.jkt : binding.x5t;
}

const unavailable = "A dependency of the gateway does not answer. Nothing was disclosed. Try again later.";
