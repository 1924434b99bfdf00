import { baseHeaders } from "./base-headers.ts";
import { problemAnswer } from "./problem.ts";

/**
 * Answers a request, or lets the next fitting handler answer.
 *
 * @param name the step of the path in the place of `:name`.
 */
export type Handler = (
  request: Request,
  next: () => Promise<Response>,
  name: string,
) => Response | Promise<Response>;

export interface RouterPorts {
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  /** Called with the kind of a fault, never with its message: the message may quote data. */
  readonly onFault: (fault: { readonly requestId: string; readonly name: string }) => void;
}

interface Route {
  readonly methods: readonly string[];
  readonly path: RegExp;
  readonly handler: Handler;
}

/**
 * The addresses of a door and their handlers, in their order. An address without a handler is answered 404, and a
 * fault 503 (RFC 9457). The routers of libraries are several times as long, and the gateway has few addresses.
 */
export class Router {
  readonly #ports: RouterPorts;
  readonly #routes: Route[] = [];

  constructor(ports: RouterPorts) {
    this.#ports = ports;
  }

  /**
   * Adds a handler.
   *
   * @param methods separated by spaces; `*`: any. A handler for GET answers HEAD as well.
   * @param path `:name` is any step; `/*` at the end: this path and each path below.
   */
  on(methods: string, path: string, handler: Handler): void {
    const form = path
      .replaceAll(".", String.raw`\.`)
      .replace(":name", "(?<name>[^/]+)")
      .replace(/\/\*$/u, "(?:/.*)?");
    this.#routes.push({ methods: methods.split(" "), path: new RegExp(`^${form}$`, "su"), handler });
  }

  /** Adds the handlers of another router. */
  add(other: Router): void {
    for (const route of other.#routes) this.#routes.push(route);
  }

  async fetch(request: Request): Promise<Response> {
    const isHead = request.method === "HEAD";
    const answer = await this.#answer(request, isHead ? "GET" : request.method, pathOf(request.url), 0);
    return isHead ? new Response(null, answer) : answer;
  }

  async #answer(request: Request, method: string, path: string, from: number): Promise<Response> {
    for (let at = from; at < this.#routes.length; at++) {
      const { methods, path: form, handler } = this.#routes[at] as Route; // below the length
      if (!methods.includes(method) && !methods.includes("*")) continue;
      const found = form.exec(path);
      if (found === null) continue;
      const next = () => this.#answer(request, method, path, at + 1);
      try {
        return await handler(request, next, found.groups?.["name"] ?? "");
      } catch (fault) {
        return this.failed(fault);
      }
    }
    return this.problem(404, "Not Found");
  }

  /** The answer to a fault: nothing is disclosed. */
  failed(fault: unknown): Response {
    const requestId = this.#ports.newId();
    this.#ports.onFault({ requestId, name: fault instanceof Error ? fault.name : "unknown" });
    return problemAnswer(requestId, { status: 503, title: "Service Unavailable" }, baseHeaders(requestId));
  }

  problem(status: number, title: string, extra: Readonly<Record<string, string>> = {}): Response {
    const requestId = this.#ports.newId();
    return problemAnswer(requestId, { title, status }, baseHeaders(requestId), extra);
  }
}

/** The path of an address without needless percent encoding: RFC 3986 §6.2.2.2. */
function pathOf(url: string): string {
  const { pathname } = new URL(url);
  if (!pathname.includes("%")) return pathname;
  try {
    return decodeURI(pathname.replaceAll("%25", "%2525"));
  } catch {
    return pathname;
  }
}
