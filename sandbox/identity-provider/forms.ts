import type { IncomingMessage } from "node:http";
import type { Context } from "oidc-provider";

const bodyBytesMax = 4_096;

/** Answers with a page. */
export function show(context: Context, status: number, html: string): void {
  context.status = status;
  context.type = "html";
  context.body = html;
}

/** The form that a page of this server sent; undefined: it is no form, too long, or of another site's page. */
export async function ownForm(context: Context, issuer: string): Promise<URLSearchParams | undefined> {
  // Cookies are SameSite=Lax already. Browsers also name the origin of a form from a different site.
  const origin = context.get("origin");
  const isOwn = context.method === "POST" && (origin === "" || origin === issuer);
  return isOwn ? readForm(context.req) : undefined;
}

export async function readForm(request: IncomingMessage): Promise<URLSearchParams | undefined> {
  if (request.headers["content-type"]?.split(";")[0] !== "application/x-www-form-urlencoded")
    return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return undefined;
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
}
