import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { text } from "node:stream/consumers";
import { closeConnections, openRequest, send } from "./mutual-tls.ts";
import { openDeployment } from "./deployment.ts";
import { selectedProfile } from "./profile.ts";
import { noteSentChange } from "../interruption.ts";
import { Refused, UnusableFile } from "../misuse.ts";
import { noteReason } from "../output.ts";

/** An answer of the operators' API: the members of the verb, or problem details (RFC 9457). */
export interface OperatorAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** The `Date` of the answer in epoch milliseconds, to the second; absent without the header. */
  readonly at?: number;
}

/** An operator of the state folder. */
export interface Poster {
  readonly state: string;
  readonly operator: string | undefined;
  /**
   * File with an access token that is bound to the operator's certificate. Every user of this machine could
   * read a token on the command line.
   */
  readonly token?: string | undefined;
}

/** Options of each command that asks the operators' API. */
export const posterOptions = {
  state: { type: "string", default: ".phylax" },
  operator: { type: "string" },
  "operator-token": { type: "string" },
} as const;

/**
 * Posts a document with an operator's certificate, and with the access token of an operator who has signed
 * in.
 */
export const postAsOperator = (
  from: Poster,
  path: string,
  document: string | Buffer,
): Promise<OperatorAnswer> => {
  if (!lookUps.has(path)) noteSentChange();
  return askAsOperator(from, path, document);
};

/** Paths whose POST reads: the question has a body, because an address would be too long or show a patient. */
const lookUps = new Set(["api/cases", "api/consents", "api/registry/plan", "api/reviews"]);

/** Reads a document of the operators' API. */
export const getAsOperator = (from: Poster, path: string): Promise<OperatorAnswer> =>
  askAsOperator(from, path, undefined);

async function askAsOperator(
  from: Poster,
  path: string,
  document: string | Buffer | undefined,
): Promise<OperatorAnswer> {
  const { dev, operator, authorization } = evidenceOf(from);
  try {
    const posted = document !== undefined && {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization },
      body: document,
    };
    const reply = await send(dev, operator, `${dev.ops}/${path}`, posted || { headers: authorization });
    const at = Date.parse(reply.headers.date ?? "");
    return { ...answerIn(reply.status, reply.text), ...(!Number.isNaN(at) && { at }) };
  } finally {
    closeConnections();
  }
}

/**
 * Reads an answer line by line, while it comes. `isWhole`: it came to its end; a different status than 200 has no
 * lines.
 */
export async function linesAsOperator(
  from: Poster,
  path: string,
  read: (line: string) => void,
): Promise<OperatorAnswer & { readonly isWhole: boolean }> {
  const { dev, operator, authorization } = evidenceOf(from);
  try {
    const { status, body } = await openRequest(dev, operator, `${dev.ops}/${path}`, {
      headers: authorization,
    });
    body.setEncoding("utf8");
    if (status !== 200) return { ...answerIn(status, await text(body)), isWhole: true };
    let rest = "";
    try {
      for await (const chunk of body) {
        const lines = `${rest}${String(chunk)}`.split("\n");
        rest = lines.pop() ?? "";
        lines.forEach(read);
      }
    } catch (fault) {
      if (!body.errored) throw fault; // of `read`
    }
    return { status, body: {}, isWhole: body.complete };
  } finally {
    closeConnections();
  }
}

function answerIn(status: number, json: string): OperatorAnswer {
  const body: OperatorAnswer["body"] = JSON.parse(json);
  noteReason(status === 200 ? undefined : body["reason"]);
  return { status, body };
}

/** The deployment, and what shows the operator there. */
function evidenceOf(from: Poster) {
  const { deployment: dev, ...place } = openDeployment(from.state);
  const operator = place.operator(from.operator);
  const token = from.token === undefined ? operator.token : tokenIn(from.token);
  return { dev, operator, authorization: token === undefined ? {} : { authorization: `Bearer ${token}` } };
}

/** The access token of a file, as `phylax operator sign-in` writes it. */
function tokenIn(file: string): string {
  const token = readFileSync(file, "utf8").trim();
  if (!/^[\x21-\x7e]+$/u.test(token))
    throw new UnusableFile(
      `${file} has no access token: \`phylax operator sign-in OPERATOR --out FILE\` writes one`,
    );
  return token;
}

export const posterOf = (values: {
  readonly state: string;
  readonly operator?: string | undefined;
  readonly "operator-token"?: string | undefined;
}): Poster => ({ state: resolve(values.state), operator: values.operator, token: values["operator-token"] });

/** The way to a new sign-in, for a session that has ended or never began. */
function signInHint(): string {
  const profile = selectedProfile();
  return profile === undefined
    ? " (`phylax operator sign-in OPERATOR --out FILE`, then --operator OPERATOR --operator-token FILE)"
    : ` (\`phylax login ${profile}\` signs you in again)`;
}

/** A refusal in one line: the place in the document and the reason, or the status, its title and its advice. */
export function refusalLine({ status, body: { title = "", pointer, detail } }: OperatorAnswer): string {
  const advice = typeof detail === "string" ? ` ${detail}` : "";
  if (typeof pointer === "string") return `${pointer === "" ? "the document" : pointer}${advice}`; // RFC 6901 §5: the whole document
  return `${status} ${String(title)}${advice && `.${advice}`}${status === 401 ? signInHint() : ""}`;
}

/** A refusal as an error, for a caller that has no use for it. */
export const refusedBy = (answer: OperatorAnswer): Error =>
  answer.status < 500 ? new Refused(refusalLine(answer)) : new Error(refusalLine(answer));
