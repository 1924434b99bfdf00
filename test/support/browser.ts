import { send, type Reply } from "../../cli/connection/mutual-tls.ts";

/** A page with a form, or the redirect that brought the app its answer. */
export type Step = { readonly url: URL; readonly reply: Reply } | { readonly app: URL };

interface Cookie {
  readonly value: string;
  readonly path: string;
}

/**
 * The part of a browser that a sign-in needs: it follows redirects, stores the cookies of one host, sends
 * forms, and obeys `form-action`.
 */
export class Browser {
  readonly #trust: { readonly ca: string };
  readonly #cookies = new Map<string, Cookie>();

  constructor(trust: { readonly ca: string }) {
    this.#trust = trust;
  }

  open(url: URL): Promise<Step> {
    return this.#go(url, "GET");
  }

  /** Sends the form of a page to the page's own address. */
  submit(
    step: Step,
    fields: Readonly<Record<string, string>>,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Step> {
    const { url, reply } = pageOf(step);
    const policy = String(reply.headers["content-security-policy"]);
    const actions = /form-action ([^;]*)/u.exec(policy)?.[1]?.split(" ") ?? [];
    const body = new URLSearchParams(fields).toString();
    return this.#go(url, "POST", {
      body,
      headers: { origin: url.origin, "content-type": "application/x-www-form-urlencoded", ...headers },
      actions: actions.map((action) => (action === "'self'" ? url.origin : action)),
    });
  }

  async #go(
    from: URL,
    method: string,
    form?: {
      readonly body: string;
      readonly headers: Readonly<Record<string, string>>;
      readonly actions: readonly string[];
    },
  ): Promise<Step> {
    let url = from;
    let reply = await this.#send(url, { method, ...(form && { body: form.body, headers: form.headers }) });
    for (let hops = 0; hops < 10; hops++) {
      const { location } = reply.headers;
      if (location === undefined) return { url, reply };
      const next = new URL(location, url);
      if (form !== undefined && !form.actions.includes(next.origin))
        throw new Error(`form-action stops the way to ${next.origin}`);
      if (next.origin !== from.origin) return { app: next };
      url = next;
      reply = await this.#send(url, {});
    }
    throw new Error("redirects without an end");
  }

  async #send(
    url: URL,
    sending: {
      readonly method?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    },
  ) {
    const cookie = [...this.#cookies]
      .filter(([, { path }]) => url.pathname.startsWith(path))
      .map(([name, { value }]) => `${name.split(" ")[0]}=${value}`)
      .join("; ");
    const reply = await send(this.#trust, undefined, url.href, {
      ...sending,
      headers: { accept: "text/html", cookie, ...sending.headers },
    });
    for (const line of reply.headers["set-cookie"] ?? []) this.#keep(line);
    return reply;
  }

  #keep(line: string): void {
    const [, name = "", value = ""] = /^([^=]+)=([^;]*)/u.exec(line) ?? [];
    const path = /; path=([^;]*)/iu.exec(line)?.[1] ?? "/";
    if (value === "") this.#cookies.delete(`${name} ${path}`);
    else this.#cookies.set(`${name} ${path}`, { value, path });
  }
}

export function pageOf(step: Step): { readonly url: URL; readonly reply: Reply } {
  if ("app" in step) throw new Error(`no page, but the app at ${step.app.origin}`);
  return step;
}

/** The redirect that brought the app its answer. */
export function appOf(step: Step): URL {
  if (!("app" in step)) throw new Error(`still at a page: ${step.reply.status} ${step.reply.text}`);
  return step.app;
}
