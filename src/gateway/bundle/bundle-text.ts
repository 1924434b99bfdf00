import { joinBytes, utf8 } from "#fhir/json/bytes";
import { bodyOutcome, operationOutcome } from "#fhir/outcome";
import type { Disclosure } from "#phi/disclosure";
import { faceOf } from "#entrypoint/gateway-face";
import type { GatewayRefusal } from "#gateway/outcome";

/** What became of one entry. */
export interface EntryAnswer {
  readonly status: number;
  readonly refusal?: GatewayRefusal | undefined;
  /** Of what is stored now, below the gateway's base. */
  readonly location?: string | undefined;
  readonly etag?: string | undefined;
  /** A resource, or a searchset, cut. */
  readonly disclosure?: Disclosure | undefined;
  /** The answer to a HEAD: its disclosure goes on record, and leaves no byte. */
  readonly bodiless?: boolean;
}

export const refusedEntry = (refusal: GatewayRefusal): EntryAnswer => ({
  status: faceOf(refusal).status,
  refusal,
});

/** A batch's answer, entry by entry in the order of the question (FHIR R4 http §3.1.0.11.1). */
export function batchText(
  kind: "batch" | "transaction",
  entries: readonly EntryAnswer[],
  requestId: string,
): Uint8Array<ArrayBuffer> {
  const head = `{"resourceType":"Bundle","type":"${kind}-response"`;
  if (entries.length === 0) return joinBytes([utf8(`${head}}`)]);
  const parts: Uint8Array[] = [utf8(`${head},"entry":[`)];
  for (const [index, entry] of entries.entries()) {
    if (index > 0) parts.push(utf8(","));
    parts.push(utf8("{"));
    if (entry.disclosure !== undefined && entry.bodiless !== true)
      parts.push(utf8('"resource":'), ...entry.disclosure.windows.map(({ body }) => body), utf8(","));
    parts.push(utf8(`"response":${JSON.stringify(responseOf(entry, requestId))}}`));
  }
  parts.push(utf8("]}"));
  return joinBytes(parts);
}

function responseOf({ status, refusal, location, etag }: EntryAnswer, requestId: string) {
  const said = {
    status: String(status),
    ...(location === undefined ? {} : { location }),
    ...(etag === undefined ? {} : { etag }),
  };
  if (refusal === undefined) return said;
  const { code, text } = faceOf(refusal);
  const outcome =
    "issues" in refusal
      ? bodyOutcome(refusal.issues, requestId)
      : operationOutcome({ severity: "error", code, text, requestId });
  return { ...said, outcome };
}
