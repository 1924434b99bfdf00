import { operatorOf, readDevFile } from "./dev-file.ts";
import { closeConnections, send } from "./mutual-tls.ts";

/** What the operators' door answers: a verb's own members, or problem details (RFC 9457). */
export interface OperatorAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Posts a document with an operator's certificate, both from the state folder. */
export async function postAsOperator(
  from: { readonly state: string; readonly operator: string | undefined },
  path: string,
  document: string | Buffer,
): Promise<OperatorAnswer> {
  const dev = readDevFile(from.state);
  const operator = operatorOf(dev, from.operator);
  try {
    const headers = { "content-type": "application/json" };
    const reply = await send(dev, operator, `${dev.ops}/${path}`, { method: "POST", headers, body: document });
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
