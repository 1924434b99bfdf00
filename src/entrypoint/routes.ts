/** A request on its way through the routes. */
export interface Routed {
  readonly request: Request;
  /** The parts of the address that the pattern names. */
  readonly parameters: Readonly<Record<string, string>>;
  /** The answer of the routes behind this route, once `next` is done. */
  readonly answer: () => Response;
}

/** Answers a request, or calls `next` for the routes behind it. */
export type RouteHandler = (
  routed: Routed,
  next: () => Promise<undefined>,
) => Response | undefined | Promise<Response | undefined>;

type OnError = (fault: Error) => Response;

interface Entry {
  readonly method: string;
  readonly pattern: RegExp;
  readonly route: RouteHandler;
  readonly onError: OnError | undefined;
}

const everyMethod = "ALL";

/**
 * A door's routes, in their order. A pattern is a path whose parts may be a name (`:origin`), a name with an
 * expression (`:origin{[a-z]+}`), or, as the last part, `*` for anything, also for nothing. A path is compared
 * in its decoded form. HEAD is answered as GET, without the body.
 */
export class Routes {
  readonly #entries: Entry[] = [];
  #onError: OnError | undefined;
  #notFound = (): Response => new Response(null, { status: 404 });

  add(method: string, path: string, route: RouteHandler): void {
    this.#entries.push({ method, pattern: patternOf(path), route, onError: undefined });
  }

  get(path: string, route: RouteHandler): void {
    this.add("GET", path, route);
  }

  /** For each method. */
  all(path: string, route: RouteHandler): void {
    this.add(everyMethod, path, route);
  }

  /** Answers where no route answers. */
  notFound(answer: () => Response): void {
    this.#notFound = answer;
  }

  /** Answers where a route throws. */
  onError(answer: OnError): void {
    this.#onError = answer;
  }

  /** Puts the routes of a further door behind these; its own answer to faults stays. */
  join(further: Routes): void {
    for (const entry of further.#entries)
      this.#entries.push({ ...entry, onError: entry.onError ?? further.#onError });
  }

  async fetch(request: Request): Promise<Response> {
    if (request.method !== "HEAD") return await this.#answer(request, request.method);
    const { status, headers } = await this.#answer(request, "GET");
    return new Response(null, { status, headers });
  }

  async #answer(request: Request, method: string): Promise<Response> {
    const path = decodedPath(request.url);
    const matches = this.#entries.flatMap((entry) => {
      const match = entry.method === method || entry.method === everyMethod ? entry.pattern.exec(path) : null;
      return match === null ? [] : [{ entry, parameters: match.groups ?? {} }];
    });
    let settled: Response | undefined;
    const answer = (): Response => {
      if (settled === undefined) throw new Error("no route has answered");
      return settled;
    };
    const from = async (place: number): Promise<undefined> => {
      const match = matches[place];
      try {
        const given =
          match === undefined
            ? this.#notFound()
            : await match.entry.route({ request, parameters: match.parameters, answer }, () =>
                from(place + 1),
              );
        settled = given ?? settled;
      } catch (fault) {
        const handle = match?.entry.onError ?? this.#onError;
        if (handle === undefined) throw fault;
        settled = handle(fault instanceof Error ? fault : new Error("unknown"));
      }
      return undefined;
    };
    await from(0);
    return answer();
  }
}

function patternOf(path: string): RegExp {
  const parts = path.split("/").map((part) => {
    const { name, expression = "[^/]+" } =
      /^:(?<name>\w+)(?:\{(?<expression>.+)\})?$/u.exec(part)?.groups ?? {};
    return name === undefined ? part.replaceAll(".", String.raw`\.`) : `(?<${name}>${expression})`;
  });
  return new RegExp(`^${parts.join("/").replace(/\/\*$/u, "(?:/.*)?")}$`, "su");
}

/** The path of a URL, decoded where its escapes are UTF-8; `%25` stays, so that nothing is decoded twice. */
function decodedPath(url: string): string {
  // a Request has its URL in the normal form
  const path = /^[^:]+:\/\/[^/?#]*(?<path>[^?#]*)/u.exec(url)?.groups?.["path"] ?? "";
  return path.replaceAll(/(?:%[\dA-Fa-f]{2})+/gu, (escapes) => {
    try {
      return decodeURI(escapes.replaceAll("%25", "%2525"));
    } catch {
      return escapes;
    }
  });
}
