import { utf8 } from "#kernel/encoded";
import { joinBytes } from "#fhir/json/bytes";
import { bodyOutcome, doneOutcome, operationOutcome } from "#fhir/outcome";
import { faceOf } from "#entrypoint/gateway-face";
import type { EntryAnswer } from "./entry-outcome.ts";

/** The answer to an entry. The single entry of an asynchronous answer may have any refusal of the gateway. */
export interface WrittenEntry extends Omit<EntryAnswer, "refusal"> {
  readonly refusal?:
    | (Parameters<typeof faceOf>[0] & { readonly issues?: Parameters<typeof bodyOutcome>[0] })
    | undefined;
}

/** A batch's answer, entry by entry in the order of the question (FHIR R4 http §3.1.0.11.1). */
export function bundleText(
  kind: "batch" | "transaction",
  entries: readonly WrittenEntry[],
  requestId: string,
): Uint8Array<ArrayBuffer> {
  const head = `{"resourceType":"Bundle","type":"${kind}-response"`;
  if (entries.length === 0) return joinBytes([utf8(`${head}}`)]);
  const parts: Uint8Array[] = [utf8(`${head},"entry":[`)];
  const named = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    if (index > 0) parts.push(utf8(","));
    parts.push(utf8("{"));
    // Two entries with the same fullUrl would have to show two versions (bdl-7).
    if (entry.fullUrl !== undefined && !named.has(entry.fullUrl)) {
      named.add(entry.fullUrl);
      parts.push(utf8(`"fullUrl":${JSON.stringify(entry.fullUrl)},`));
    }
    if (entry.disclosure !== undefined && entry.bodiless !== true) {
      parts.push(utf8('"resource":'));
      for (const { body } of entry.disclosure.windows) parts.push(body);
      parts.push(utf8(","));
    }
    parts.push(utf8(`"response":${JSON.stringify(responseOf(entry, requestId))}}`));
  }
  parts.push(utf8("]}"));
  return joinBytes(parts);
}

function responseOf({ status, refusal, location, etag, saysDone }: WrittenEntry, requestId: string) {
  const response = {
    status: String(status),
    ...(location === undefined ? {} : { location }),
    ...(etag === undefined ? {} : { etag }),
  };
  if (refusal === undefined)
    return saysDone === true ? { ...response, outcome: doneOutcome(requestId) } : response;
  const { code, text, exception } = faceOf(refusal);
  const outcome =
    refusal.issues === undefined
      ? operationOutcome({ severity: "error", code, text, requestId, exception })
      : bodyOutcome(refusal.issues, requestId);
  return { ...response, outcome };
}
