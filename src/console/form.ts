import { readAtMost, type IncomingBody } from "#entrypoint/bounded-body";
import { equalInConstantTime } from "#kernel/constant-time";
import type { ConsoleSession } from "./session.ts";

const formBytesMax = 1_048_576;

/** The name of the field that carries the session's token. */
export const formTokenField = "form";

/**
 * Reads a form that a page of this console sent in this session. Undefined for every further sender: the browser
 * names the page's origin, says that the request came from the same origin, and the form has the session's
 * token. A foreign page can fake none of the three.
 */
export async function readOwnForm(
  { headers }: Request,
  body: IncomingBody,
  origin: string,
  session: ConsoleSession,
): Promise<URLSearchParams | undefined> {
  const site = headers.get("sec-fetch-site");
  if (headers.get("origin") !== origin || (site !== null && site !== "same-origin")) return undefined;
  if (headers.get("content-type")?.split(";")[0]?.trim() !== "application/x-www-form-urlencoded")
    return undefined;
  const bytes = await readAtMost(body, formBytesMax);
  if (bytes === undefined) return undefined;
  const form = new URLSearchParams(new TextDecoder().decode(bytes));
  return equalInConstantTime(form.get(formTokenField) ?? "", session.formToken) ? form : undefined;
}
