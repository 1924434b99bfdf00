import { readFileSync } from "node:fs";
import { operatorOf, readDevFile } from "./dev-file.ts";
import { closeConnections, send } from "./mutual-tls.ts";

/** An answer of the operators' API: the members of the verb, or problem details (RFC 9457). */
export interface OperatorAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** An operator of the state folder. */
interface Poster {
  readonly state: string;
  readonly operator: string | undefined;
  /**
   * File with an access token that is bound to the operator's certificate. Every user of this machine could
   * read a token on the command line.
   */
  readonly token?: string | undefined;
}

/** Options of each command that posts. */
export const posterOptions = {
  state: { type: "string", default: ".phylax" },
  operator: { type: "string" },
  "operator-token": { type: "string" },
} as const;

/**
 * Posts a document with an operator's certificate, and with the access token of an operator who has signed
 * in.
 */
export async function postAsOperator(
  from: Poster,
  path: string,
  document: string | Buffer,
): Promise<OperatorAnswer> {
  const dev = readDevFile(from.state);
  const operator = operatorOf(dev, from.operator);
  try {
    const authorization =
      from.token === undefined ? {} : { authorization: `Bearer ${readFileSync(from.token, "utf8").trim()}` };
    const headers = { "content-type": "application/json", ...authorization };
    const reply = await send(dev, operator, `${dev.ops}/${path}`, {
      method: "POST",
      headers,
      body: document,
    });
    const body: OperatorAnswer["body"] = JSON.parse(reply.text);
    return { status: reply.status, body };
  } finally {
    closeConnections();
  }
}

/** A refusal in one line: the place in the document and the reason, or the status and its title. */
export function refusalLine({ status, body: { title = "", pointer, detail } }: OperatorAnswer): string {
  if (typeof detail !== "string") return `${status} ${String(title)}`;
  return `${pointer === "" ? '""' : String(pointer)} ${detail}`; // RFC 6901 §5: the whole document
}
