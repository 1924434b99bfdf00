import { baseHeaders } from "./base-headers.ts";
import { problemAnswer } from "./problem.ts";

/**
 * Answers a request, or hands it on: `next` is the answer of the routes after this one. `named` has the named
 * parts of the path.
 */
export type RouteHandler = (
  request: Request,
  next: () => Promise<Response>,
  named: Readonly<Record<string, string>>,
) => Response | Promise<Response>;

/** A route for GET answers HEAD too, without the body. */
export type RouteMethod = "GET" | "POST" | "OPTIONS" | "any";

interface Route {
  readonly method: RouteMethod;
  readonly path: RegExp;
  readonly handle: RouteHandler;
}

export interface RoutePorts {
  /** 16 random bytes in hex. */
  readonly newId: () => string;
  /** Called with the kind of a fault, never with its message: the message may quote data. */
  readonly onFault: (fault: { readonly requestId: string; readonly name: string }) => void;
}

/**
 * The addresses of a door, in the order in which they are asked. An unknown address is 404 and a fault is 503, both
 * as problem details (RFC 9457). The gateway has two dozen addresses; a router of a library for them is 6 KiB of its
 * bundle.
 */
export class Routes {
  readonly #ports: RoutePorts;
  readonly #routes: Route[] = [];

  constructor(ports: RoutePorts) {
    this.#ports = ports;
  }

  /** @param path matches the decoded path as a whole. */
  on(method: RouteMethod, path: RegExp, handle: RouteHandler): void {
    this.#routes.push({ method, path, handle });
  }

  async fetch(request: Request): Promise<Response> {
    const path = pathOf(request.url);
    if (request.method !== "HEAD") return await this.#answer(request, request.method, path, 0);
    return new Response(null, await this.#answer(request, "GET", path, 0));
  }

  async #answer(request: Request, asked: string, path: string, from: number): Promise<Response> {
    for (const [at, { method, path: pattern, handle }] of this.#routes.entries()) {
      if (at < from || (method !== asked && method !== "any")) continue;
      const match = pattern.exec(path);
      if (match === null) continue;
      try {
        return await handle(request, () => this.#answer(request, asked, path, at + 1), match.groups ?? {});
      } catch (fault) {
        return this.failed(fault);
      }
    }
    return this.#problem(this.#ports.newId(), 404, "Not Found");
  }

  /** The answer to a request whose handling threw. */
  failed(fault: unknown): Response {
    const requestId = this.#ports.newId();
    this.#ports.onFault({ requestId, name: fault instanceof Error ? fault.name : "unknown" });
    return this.#problem(requestId, 503, "Service Unavailable");
  }

  #problem(requestId: string, status: number, title: string): Response {
    return problemAnswer(requestId, { title, status }, baseHeaders(requestId));
  }
}

/** The path of a URL. Escaped characters that need no escape are decoded; `%25` and `%2F` stay as they are. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf(":") + "://".length + 1);
  const path = url.slice(start).replace(/[?#].*$/su, "");
  if (!path.includes("%")) return path;
  try {
    return decoded(path);
  } catch {
    // an escape is malformed: the others are decoded
    return path.replaceAll(/(?:%[0-9A-F]{2})+/giu, (escapes) => {
      try {
        return decoded(escapes);
      } catch {
        return escapes;
      }
    });
  }
}

const decoded = (text: string): string => decodeURI(text.replaceAll("%25", "%2525"));
