import { readFileSync } from "node:fs";
import { operatorOf, readDevFile } from "./dev-file.ts";
import { closeConnections, send } from "./mutual-tls.ts";

/** What the operators' door answers: a verb's own members, or problem details (RFC 9457). */
export interface OperatorAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Who posts: an operator of the state folder. */
interface Poster {
  readonly state: string;
  readonly operator: string | undefined;
  /** File with an access token that is bound to the operator's certificate: on the command line itself, others on this machine would read it. */
  readonly token?: string | undefined;
}

/** What each command that posts takes. */
export const posterOptions = {
  state: { type: "string", default: ".phylax" },
  operator: { type: "string" },
  "operator-token": { type: "string" },
} as const;

/** Posts a document with an operator's certificate, and with the token of one who has signed in. */
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

/** A refusal in one line: where in the document and what, else the status and its title. */
export function refusalLine({ status, body: { title = "", pointer, detail } }: OperatorAnswer): string {
  if (typeof detail !== "string") return `${status} ${String(title)}`;
  return `${pointer === "" ? '""' : String(pointer)} ${detail}`; // RFC 6901 §5: the whole document
}
