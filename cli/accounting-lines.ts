import { Misuse } from "./ledger-keys.ts";

/** A line as an accounting shows it, whichever of its three forms that has; the proof, in base64, is no part of what it shows. */
export interface ShownLine {
  readonly shown: string;
  /** The types and counts, as `Observation 12, Patient 1`. */
  readonly disclosed: string;
  readonly proof: string | undefined;
}

/** The lines of an accounting that was saved as it came. Throws a Misuse for what is none: that no line is wrong must not be said of it. */
export function linesShown(bytes: Uint8Array): readonly ShownLine[] {
  const text = new TextDecoder().decode(bytes); // without the byte order mark of a spreadsheet
  const lines = text.startsWith("{") ? inBundle(text) : text.startsWith("<!doctype html>") ? inPage(text) : inTable(text);
  if (lines === undefined) throw new Misuse("this is no accounting of disclosures, or not as it came");
  return lines;
}

function inBundle(text: string): readonly ShownLine[] | undefined {
  const bundle = asJson(text);
  if (!isRecord(bundle) || bundle["type"] !== "searchset" || !Array.isArray(bundle["entry"])) return undefined;
  const resources = recordsIn(bundle["entry"]).flatMap(({ resource }) => (isRecord(resource) ? [resource] : []));
  return resources.filter(({ resourceType }) => resourceType === "AuditEvent").map(ofEvent);
}

function ofEvent(event: Record<string, unknown>): ShownLine {
  const details = recordsIn(event["entity"]).flatMap((entity) => recordsIn(entity["detail"]));
  const detail = (type: string) => details.find((one) => one["type"] === type) ?? {};
  const [proof, disclosed] = [detail("proof")["valueBase64Binary"], detail("disclosed")["valueString"]];
  const shown = JSON.stringify(event, (_, value: unknown) => (value === proof ? undefined : value));
  return { shown, disclosed: typeof disclosed === "string" ? disclosed : "", proof: typeof proof === "string" ? proof : undefined };
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the parser's message would show what is in it
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null && !Array.isArray(value);
const recordsIn = (value: unknown): readonly Record<string, unknown>[] => (Array.isArray(value) ? value.filter(isRecord) : []);

const pageRow =
  /^<th scope="row">[^<]*<\/th>(?<cells>(?:<td>[^<]*<\/td>)+)<td>(?:[^<]*|<details><summary>[^<]*<\/summary><code>(?<proof>[A-Za-z0-9+/=]+)<\/code><\/details>)<\/td><\/tr>$/u;

/** A row of another form could show what nobody looks at: then it is no page of ours. */
function inPage(text: string): readonly ShownLine[] | undefined {
  if (!text.includes("<h1>Accounting of disclosures</h1>")) return undefined;
  const [, ...rows] = (/<tbody>(.*)<\/tbody>/su.exec(text)?.[1] ?? "").split("<tr>");
  const matches = rows.map((row) => pageRow.exec(row)?.groups);
  const isOurs =
    matches.every((match) => match !== undefined) && text.split("<tr").length - 1 === (rows.length === 0 ? 0 : rows.length + 1);
  if (!isOurs) return undefined;
  return matches.map((match, at) => ({
    shown: rows[at]?.replace(match?.["proof"] ?? "", "") ?? "",
    disclosed: match?.["cells"]?.split("<td>")[3]?.replace("</td>", "") ?? "",
    proof: match?.["proof"],
  }));
}

function inTable(text: string): readonly ShownLine[] | undefined {
  const [head = [], ...rows] = cellsOf(text);
  const [disclosedAt, proofAt] = [head.indexOf("disclosed"), head.indexOf("proof")];
  if (head[0] !== "time" || disclosedAt < 0 || proofAt < 0) return undefined;
  const lines = rows.filter((cells) => cells.slice(1).some((cell) => cell !== "")); // words are alone in their row
  return lines.map((cells) => ({
    shown: cells.filter((_, at) => at !== proofAt).join("\n"),
    disclosed: cells[disclosedAt] ?? "",
    proof: cells[proofAt] || undefined,
  }));
}

/** RFC 4180, also with the line ends of a file that was saved again; no rows at all of what is not such a table to its end. */
function cellsOf(text: string): readonly (readonly string[])[] {
  const rows: string[][] = [[]];
  let read = 0;
  for (const [cell, quoted, plain = "", end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/guy)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain);
    read += cell.length;
    if (end === "") break;
    if (end !== ",") rows.push([]);
  }
  return read === text.length ? rows : [];
}
