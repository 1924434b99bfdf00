import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { IncomingMessage, ServerResponse } from "node:http";
import { TLSSocket } from "node:tls";
import { secretsKept } from "./secrets-kept.ts";
import { secretsMade } from "./secrets-made.ts";

const printers = ["log", "info", "warn", "error", "debug"] as const;
const streams = ["stdout", "stderr"] as const;
// A JWS of JSON: an access token, an assertion, a proof. No further text begins with these characters.
const jws = /\beyJ[\w-]{8,}\.[\w-]{8,}/u;
// A token, or the part that identifies it: payload or signature. Many tokens have the same header.
const partCharactersMin = 24;

/**
 * Watches a whole test file for secrets (T46). It collects every token, assertion and proof that comes to
 * the TLS fronts of this process and every token that leaves them. It searches for them, and for all private
 * keys at hand, in the printed text of the process (which includes workerd's output) and in every answer of
 * 400 and above.
 */
export class SecretWatch {
  readonly #state: string;
  readonly #printed: string[] = [];
  readonly #errors: { readonly where: string; readonly body: string }[] = [];
  readonly #travelled = new Set<string>();
  readonly #restore: (() => void)[] = [];
  readonly #started = (message: unknown) => {
    // as Node documents the channel
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    if (request.socket instanceof TLSSocket) this.#readAlong(request, response);
  };

  /** @param state the state folder. Its keys are secrets too. */
  constructor(state: string) {
    this.#state = state;
    subscribe("http.server.request.start", this.#started);
    for (const name of printers)
      this.#alongside(console, name, (...args) => this.hear(args.map(String).join(" ")));
    for (const name of streams)
      this.#alongside(process[name], "write", (chunk) => this.hear(bytesOf(chunk).toString("utf8")));
  }

  /**
   * Throws when a secret was printed or stands in an error. The message names the place, never the secret.
   */
  end(): void {
    unsubscribe("http.server.request.start", this.#started);
    for (const restore of this.#restore) restore();
    const keys = [...secretsKept(this.#state), ...secretsMade];
    const holds = (text: string) =>
      holdsKey(text, keys) || runsOf(text).some((run) => this.#travelled.has(run));
    const found = new Set(
      this.#errors.filter(({ body }) => holds(body)).map(({ where }) => `in the answer to ${where}`),
    );
    if (this.#printed.some(holds)) found.add("printed");
    if (found.size > 0)
      throw new Error(`a token, an assertion, a proof or a key was ${[...found].join("; ")}`);
  }

  /** Checks a line of output. */
  hear(line: string): void {
    this.#printed.push(line);
  }

  /** Checks an exchange that came through no front: the headers and body of the request, and its answer. */
  exchange(where: string, headers: Headers, question: string, status: number, body: string): void {
    this.#learn(headers.get("authorization")?.replace(/^\S+ +/u, ""));
    this.#learn(headers.get("dpop") ?? undefined);
    this.#hearAnswer(where, question, status, body);
  }

  #hearAnswer(where: string, question: string, status: number, body: string): void {
    this.#learn(/(?:^|&)client_assertion=(?<jws>[^&]+)/u.exec(question)?.groups?.["jws"]);
    if (status >= 400) this.#errors.push({ where, body });
    else
      for (const { groups } of body.matchAll(/"(?:access|refresh|id)_token":\s*"(?<token>[^"]+)"/gu))
        this.#learn(groups?.["token"]);
  }

  #learn(text: string | undefined): void {
    const parts = (text ?? "").split(".");
    for (const part of parts.length === 1 ? parts : parts.slice(1))
      for (const run of runsOf(part)) this.#travelled.add(run);
  }

  #readAlong(request: IncomingMessage, response: ServerResponse): void {
    this.#learn(request.headers.authorization?.replace(/^\S+ +/u, ""));
    this.#learn(request.headers["dpop"]?.toString());
    const [asked, answered]: [Buffer[], Buffer[]] = [[], []];
    this.#around(request, "emit", (name, chunk) => void (name === "data" && asked.push(bytesOf(chunk))));
    response.setMaxListeners(20); // for the front's own listeners and several watches
    let over = false;
    const finish = () => {
      if (over) return;
      over = true;
      const [question = "", body = ""] = [asked, answered].map((parts) =>
        Buffer.concat(parts).toString("utf8"),
      );
      this.#hearAnswer(
        `${request.method} ${request.url?.split("?")[0]}`,
        question,
        response.statusCode,
        body,
      );
    };
    this.#around(response, "write", (chunk) => void answered.push(bytesOf(chunk)));
    this.#around(response, "end", (chunk) => {
      answered.push(bytesOf(chunk));
      finish(); // before the client can have it
    });
    response.once("close", finish); // also when the answer breaks off
  }

  #alongside(object: object, name: string, hear: (...args: unknown[]) => void): void {
    const original: unknown = Reflect.get(object, name);
    this.#around(object, name, hear);
    this.#restore.push(() => void Reflect.set(object, name, original));
  }

  /** Passes the arguments of a method to a listener, then calls the method. */
  #around(object: object, name: string, hear: (...args: unknown[]) => void): void {
    // each name is a method of its object
    const original = Reflect.get(object, name) as (...args: unknown[]) => unknown;
    const alongside = (...args: unknown[]) => {
      hear(...args);
      return original.apply(object, args);
    };
    Reflect.set(object, name, alongside);
  }
}

const holdsKey = (text: string, keys: readonly string[]): boolean =>
  jws.test(text) || keys.some((key) => text.includes(key));

/** True if the printed text contains a token, or a key of its state folder. */
export const holdsSecret = (printed: string, state: string): boolean =>
  holdsKey(printed, [...secretsKept(state)]);

/** The runs of base64url in a text that are long enough to identify a token. */
const runsOf = (text: string): readonly string[] =>
  text.match(/[\w-]+/gu)?.filter(({ length }) => length >= partCharactersMin) ?? [];

const bytesOf = (chunk: unknown): Buffer =>
  typeof chunk === "string" || chunk instanceof Uint8Array ? Buffer.from(chunk) : Buffer.alloc(0);
