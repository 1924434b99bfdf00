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
import { issuesIn, outcomeIn } from "./outcome-text.ts";

/** An answer with its whole body. */
export interface ReadReply {
  readonly status: number;
  readonly headers: OpenedReply["headers"];
  readonly text: string;
}

/** The state of an export, as its polling location says. */
export type ExportState =
  | {
      readonly kind: "running";
      readonly progress: string | undefined;
      readonly waitSeconds: number | undefined;
    }
  | { readonly kind: "finished"; readonly manifest: Manifest; readonly expires: string | undefined }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly status: number; readonly outcome: string };

const file = z.object({ url: z.string(), type: z.string().refine(isResourceType) });
const manifest = z.object({
  transactionTime: z.string(),
  output: z.array(file),
  deleted: z.array(z.object({ url: z.string() })).default([]),
  error: z.array(z.object({ url: z.string() })).default([]),
  link: z.array(z.object({ relation: z.string(), url: z.string() })).default([]),
});
/** All pages of a manifest, joined. */
export type Manifest = Omit<z.infer<typeof manifest>, "link">;

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
    const once = async () =>
      sentAsClient(this.#client, await this.#freshToken(), { url, method }, (identity, proof) =>
        openRequest(this.#deployment, identity, url, {
          ...sending,
          headers: { ...sending.headers, ...proof },
        }),
      );
    const first = await once();
    if (first.status !== 401) return first;
    first.body.resume();
    this.#token = undefined; // it may have ended on the way
    return once();
  }

  async send(url: string, sending: Sending = {}): Promise<ReadReply> {
    const { status, headers, body } = await this.open(url, sending);
    const chunks: Buffer[] = [];
    for await (const chunk of body) chunks.push(chunk);
    return { status, headers, text: Buffer.concat(chunks).toString("utf8") };
  }

  /** Asks for the state of an export; of a finished export it reads every page of the manifest. */
  async state(url: string): Promise<ExportState> {
    const reply = await this.send(url, { headers: { accept: "application/json" } });
    const { status, headers, text } = reply;
    if (status === 202 || status === 429) {
      const progress = headers["x-progress"]?.toString();
      return { kind: "running", progress, waitSeconds: waitSecondsOf(reply) };
    }
    if (status === 404) return { kind: "absent" };
    if (isPassing(reply))
      throw new Passing(`the server answers ${status}: ${outcomeIn(text)}`, waitSecondsOf(reply));
    if (status !== 200) return { kind: "failed", status, outcome: outcomeIn(text) };
    const first = manifestIn(text);
    const { link: _, ...whole } = first;
    for (let next = nextOf(first); next !== undefined;) {
      const page = await this.send(next, { headers: { accept: "application/json" } });
      if (isPassing(page)) throw new Passing(`the server answers ${page.status}`, waitSecondsOf(page));
      if (page.status !== 200) return { kind: "failed", status: page.status, outcome: outcomeIn(page.text) };
      const read = manifestIn(page.text);
      whole.output.push(...read.output);
      whole.deleted.push(...read.deleted);
      next = nextOf(read);
    }
    return { kind: "finished", manifest: whole, expires: headers["expires"] };
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

/** A failure of the poll, and not of the export: the guide's transient code, or a part on the way that is down. */
const isPassing = ({ status, text }: ReadReply): boolean =>
  status === 429 || (status >= 502 && status <= 504) || (status >= 400 && isTransient(issuesIn(text)));

const isTransient = (issues: ReturnType<typeof issuesIn>): boolean =>
  issues.length > 0 && issues.every((issue) => issue.isTransient);

function manifestIn(text: string): z.infer<typeof manifest> {
  try {
    return manifest.parse(JSON.parse(text));
  } catch {
    throw new Error("the server's manifest cannot be read");
  }
}

const nextOf = ({ link }: z.infer<typeof manifest>): string | undefined =>
  link.find(({ relation }) => relation === "next")?.url;

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

/**
 * Does a work that may break off, and goes on with it after a wait. Work that moved on since its last failure may
 * fail as often again.
 *
 * @param moved the amount of work that is done
 */
export async function persistently<T>(work: () => Promise<T>, moved: () => number): Promise<T> {
  let [failures, done] = [0, moved()];
  for (;;)
    try {
      return await work();
    } catch (fault) {
      if (moved() > done) [failures, done] = [0, moved()];
      const seconds = repeats[failures];
      if (seconds === undefined || !mayPass(fault)) throw fault;
      failures += 1;
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
