import { setTimeout as wait } from "node:timers/promises";
import * as z from "zod";
import { isResourceType } from "#fhir/r4/elements";
import { accessToken } from "../connection/access-token.ts";
import { openDeployment, type Deployment } from "../connection/deployment.ts";
import type { DevClient } from "../connection/dev-file.ts";
import { openRequest, type OpenedReply, type Sending } from "../connection/mutual-tls.ts";
import { sentAsClient } from "../connection/sent-as-client.ts";
import { UnusableFile } from "../misuse.ts";
import type { StartedExport } from "./export-folder.ts";
import { outcomeIn } from "./outcome-text.ts";

/** An answer with its whole body. */
export interface ReadReply {
  readonly status: number;
  readonly headers: OpenedReply["headers"];
  readonly text: string;
}

const file = z.object({ url: z.string(), type: z.string().refine(isResourceType) });
const manifest = z.object({
  transactionTime: z.string(),
  output: z.array(file),
  error: z.array(z.object({ url: z.string() })),
});
export const absent = "the server has no such export: it was cancelled, or its time is over";
export type Manifest = z.infer<typeof manifest>;

// The built-in issuer's tokens last five minutes.
const tokenMilliseconds = 240_000;
/** Seconds before each repeat of a request that the network or the server broke. */
const repeats = [1, 2, 4, 8, 16];

/** A client's requests about an export, each with a token that has not ended. */
export class ExportSession {
  readonly fhir: string;
  readonly #deployment: Deployment;
  readonly #client: DevClient;
  readonly #asked: Pick<StartedExport, "purpose" | "scope">;
  #token: { readonly text: string; readonly until: number } | undefined;

  constructor(
    state: string,
    { client, purpose, scope }: Pick<StartedExport, "client" | "purpose" | "scope">,
  ) {
    const place = openDeployment(state);
    this.#deployment = place.deployment;
    this.#client = place.client(client);
    this.#asked = { purpose, scope };
    this.fhir = place.deployment.fhir;
  }

  /** A session for an export that was started. Throws if it is of a different deployment. */
  static of(state: string, started: StartedExport): ExportSession {
    const session = new ExportSession(state, started);
    if (session.fhir !== started.fhir)
      throw new UnusableFile(
        `the export is of ${started.fhir}: name its deployment with --profile or --state`,
      );
    return session;
  }

  /** Sends a request below the FHIR base: no further server gets the token. */
  async open(url: string, sending: Sending = {}): Promise<OpenedReply> {
    if (!URL.canParse(url) || !new URL(url).href.startsWith(new URL(`${this.fhir}/`).href))
      throw new Error(`the server names an address that is not below ${this.fhir}`);
    const method = sending.method ?? "GET";
    return sentAsClient(this.#client, await this.#freshToken(), { url, method }, (identity, proof) =>
      openRequest(this.#deployment, identity, url, {
        ...sending,
        headers: { ...sending.headers, ...proof },
      }),
    );
  }

  async send(url: string, sending: Sending = {}): Promise<ReadReply> {
    const { status, headers, body } = await this.open(url, sending);
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return { status, headers, text: Buffer.concat(chunks).toString("utf8") };
  }

  /** The manifest of an export. Throws a `Passing` if a repeat may get it. */
  async manifest(
    url: string,
  ): Promise<{ readonly manifest: Manifest; readonly expires: string | undefined }> {
    const reply = await this.send(url, { headers: { accept: "application/json" } });
    const { status, headers, text } = reply;
    if (status === 404) throw new Error(absent);
    const words = `the server answers ${status}: ${outcomeIn(text)}`;
    if (status === 429 || status >= 500) throw new Passing(words, waitSecondsOf(reply));
    if (status !== 200) throw new Error(words);
    return { manifest: manifestIn(text), expires: headers["expires"] };
  }

  async #freshToken(): Promise<string> {
    if (this.#token === undefined || this.#token.until < Date.now())
      this.#token = {
        text: await accessToken(this.#deployment, this.#client, this.#asked),
        until: Date.now() + tokenMilliseconds,
      };
    return this.#token.text;
  }
}

function manifestIn(text: string): Manifest {
  try {
    return manifest.parse(JSON.parse(text));
  } catch {
    throw new Error("the server's manifest cannot be read");
  }
}

/** `Retry-After` in seconds (RFC 9110 §10.2.3: a number, or a time). */
export function waitSecondsOf({ headers }: Pick<ReadReply, "headers">): number | undefined {
  const text = headers["retry-after"]?.trim() ?? "";
  if (/^\d{1,6}$/u.test(text)) return Number(text);
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, Math.ceil((at - Date.now()) / 1_000));
}

/** A failure after which the same request may succeed. */
export class Passing extends Error {
  readonly waitSeconds: number | undefined;
  constructor(message: string, waitSeconds?: number) {
    super(message);
    this.waitSeconds = waitSeconds;
  }
}

/** Does a work that may fail for a while, and repeats it after a wait. */
export async function persistently<T>(work: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures += 1)
    try {
      return await work();
    } catch (fault) {
      const seconds = repeats[failures];
      if (seconds === undefined || !mayPass(fault)) throw fault;
      await wait(1_000 * ((fault instanceof Passing ? fault.waitSeconds : undefined) ?? seconds));
    }
}

/** A broken connection or transfer (an errno of the network), or an answer that says so. */
const mayPass = (fault: unknown): boolean =>
  fault instanceof Passing ||
  (fault instanceof Error &&
    /^(?:ECONNRESET|ECONNREFUSED|EPIPE|ETIMEDOUT|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ERR_STREAM_PREMATURE_CLOSE)$/u.test(
      String(Reflect.get(fault, "code")),
    ));
