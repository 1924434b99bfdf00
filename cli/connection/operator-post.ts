import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { closeConnections, send } from "./mutual-tls.ts";
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
  const { deployment: dev, ...place } = openDeployment(from.state);
  const operator = place.operator(from.operator);
  try {
    const token = from.token === undefined ? operator.token : tokenIn(from.token);
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const posted = document !== undefined && {
      method: "POST",
      headers: { "content-type": "application/json", ...authorization },
      body: document,
    };
    const reply = await send(dev, operator, `${dev.ops}/${path}`, posted || { headers: authorization });
    const body: OperatorAnswer["body"] = JSON.parse(reply.text);
    noteReason(reply.status === 200 ? undefined : body["reason"]);
    const at = Date.parse(reply.headers.date ?? "");
    return { status: reply.status, body, ...(!Number.isNaN(at) && { at }) };
  } finally {
    closeConnections();
  }
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

/** A refusal in one line: the place in the document and the reason, or the status and its title. */
export function refusalLine({ status, body: { title = "", pointer, detail } }: OperatorAnswer): string {
  if (typeof detail !== "string") return `${status} ${String(title)}${status === 401 ? signInHint() : ""}`;
  return `${pointer === "" ? "the document" : String(pointer)} ${detail}`; // RFC 6901 §5: the whole document
}

/** A refusal as an error, for a caller that has no use for it. */
export const refusedBy = (answer: OperatorAnswer): Error =>
  answer.status < 500 ? new Refused(refusalLine(answer)) : new Error(refusalLine(answer));
