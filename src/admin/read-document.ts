import { readAtMost, type IncomingBody } from "#entrypoint/bounded-body";
import { BodyNotWhole } from "#entrypoint/timely-body";
import { repeatsMember } from "#identity/jose/repeated-member";
import { isTooDeep } from "#identity/jose/too-deep";
import { err, ok, type Result } from "#kernel/result";

// A thousand clients with their certificates and a policy of each starter are about 700 KB.
const documentBytesMax = 1_048_576;

export type DocumentRefusal = {
  readonly reason: BodyNotWhole["reason"] | "body_type_not_supported" | "body_too_large" | "body_not_json";
};

/** A document and its source bytes. */
export interface Document {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly value: unknown;
}

/**
 * Reads a JSON body strictly: at most 1 MiB, UTF-8 without a byte-order mark, no member twice in an object,
 * at most 100 levels.
 */
export async function readDocument(
  contentType: string | null,
  body: IncomingBody,
): Promise<Result<Document, DocumentRefusal>> {
  // Only this type is accepted: a page on a foreign site can make an operator's browser post a form or plain
  // text with its certificate, but not JSON.
  if (!/^application\/json *(?:; *charset="?utf-8"? *)?$/iu.test(contentType ?? ""))
    return err({ reason: "body_type_not_supported" });
  const bytes = await readAtMost(body, documentBytesMax).catch(reasonOf);
  if (typeof bytes === "string") return err({ reason: bytes });
  if (bytes === undefined) return err({ reason: "body_too_large" });
  try {
    const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    const value: unknown = JSON.parse(text);
    return isTooDeep(text) || repeatsMember(text) ? err({ reason: "body_not_json" }) : ok({ bytes, value });
  } catch {
    return err({ reason: "body_not_json" });
  }
}

const reasonOf = (fault: unknown): BodyNotWhole["reason"] =>
  fault instanceof BodyNotWhole ? fault.reason : "body_incomplete";
