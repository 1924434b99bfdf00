import { resolve } from "node:path";
import { Misuse } from "../misuse.ts";
import { accessToken } from "./access-token.ts";
import type { DevClient } from "./dev-file.ts";
import { closeConnections, send, type Reply } from "./mutual-tls.ts";
import { sentAsClient } from "./sent-as-client.ts";
import { openDeployment, type Deployment } from "./deployment.ts";
import { giveResult, say } from "../output.ts";
import { readCall } from "../read-call.ts";

/**
 * Reads a path below the FHIR base as a development client: it gets a token, and sends it over the client's
 * certificate or with a proof of its key. Prints the body; with `--include` the status and the headers
 * before it. Returns 0 for an answer below 400, else 1.
 */
export async function getCommand(args: readonly string[]): Promise<number> {
  const { values, positionals } = readCall(args, {
    state: { type: "string", default: ".phylax" },
    purpose: { type: "string" },
    scope: { type: "string" },
    header: { type: "string", multiple: true, default: [] },
    include: { type: "boolean", default: false },
  });
  const [id, path, ...more] = positionals;
  if (id === undefined || path === undefined || more.length > 0) throw new Misuse();
  const headers = Object.fromEntries(values.header.map(headerOf));
  try {
    const place = openDeployment(resolve(values.state));
    const { deployment: dev } = place;
    const client = place.client(id);
    const token = await accessToken(dev, client, { purpose: values.purpose, scope: values.scope });
    const url = /^https?:/u.test(path) ? path : `${dev.fhir}/${path.replace(/^\//u, "")}`;
    // with each `..` taken away, as the request has it
    if (!URL.canParse(url) || !new URL(url).href.startsWith(new URL(`${dev.fhir}/`).href))
      throw new Misuse("the path must be below the FHIR base");
    const reply = await readAsClient(dev, client, token, url, headers);
    giveResult({ status: reply.status, headers: reply.headers, body: parsed(reply.text) });
    if (values.include) {
      say(`HTTP ${reply.status}`);
      for (const [name, value] of Object.entries(reply.headers)) say(`${name}: ${String(value)}`);
      say("");
    }
    say(indented(reply.text));
    return reply.status < 400 ? 0 : 1;
  } finally {
    closeConnections();
  }
}

function headerOf(text: string): readonly [string, string] {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):\s*(.*)$/u.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new Misuse(`not a header: ${text}`);
  return [name.toLowerCase(), value];
}

/** Reads an address as a client, with its certificate or a proof of its key. */
export const readAsClient = (
  dev: Deployment,
  client: DevClient,
  token: string,
  url: string,
  headers: Readonly<Record<string, string>>,
): Promise<Reply> =>
  sentAsClient(client, token, { url, method: "GET" }, (identity, proof) =>
    send(dev, identity, url, { headers: { ...headers, ...proof } }),
  );

/** The body as a document, or as the text that it is. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** JSON on several lines with its numbers as they are; any other text as it is. */
function indented(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|\s+/gu, (part) => {
    if (part === "{" || part === "[") {
      depth += 1;
      return part + line();
    }
    if (part === "}" || part === "]") {
      depth -= 1;
      return line() + part;
    }
    if (part === ",") return part + line();
    if (part === ":") return ": ";
    return /^\s/u.test(part) ? "" : part;
  });
}
