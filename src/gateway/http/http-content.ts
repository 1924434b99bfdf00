import { readAtMost } from "#entrypoint/bounded-body";
import type { RequestHeaders } from "#entrypoint/header-values";
import { isMediaType, isMet } from "#fhir/media-type";
import { err, ok, type Result } from "#kernel/result";
import { contentBytesMax, type Content, type ContentRefusal } from "#gateway/question";
import type { Arrival, Call } from "./admit.ts";

/** The media types of a body. FHIRPath Patch and XML Patch could make changes that this gateway does not see. */
const forms = {
  resource: new Set(["application/fhir+json", "application/json", "application/json+fhir"]), // the last: DSTU2's name
  patch: new Set(["application/json-patch+json"]),
} as const;

const isPlain = (headers: Pick<RequestHeaders, "get">): boolean =>
  (headers.get("content-encoding")?.trim().toLowerCase() ?? "identity") === "identity";

/** True if a body is of this form, in UTF-8, and has no content coding. */
export function isOfForm(headers: Pick<RequestHeaders, "get">, form: keyof typeof forms): boolean {
  if (!isPlain(headers)) return false;
  const [type = "", ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  return forms[form].has(type.trim()) && parameters.every(isMet);
}

/**
 * The media type of an upload (FHIR R4 binary §2.42.4): no form of a resource, no form of a web page, and one that a
 * read gives again.
 */
function uploadTypeIn(headers: Pick<RequestHeaders, "get">): string | undefined {
  const type = headers.get("content-type")?.trim() ?? "";
  const isForm = /^(?:multipart\/|application\/x-www-form-urlencoded)/iu.test(type);
  const isResource = isOfForm(headers, "resource") || /fhir/iu.test(type);
  return isForm || isResource || !isMediaType(type) || !isPlain(headers) ? undefined : type;
}

/** The content of a request: its headers and its body. */
export const httpContent = (
  { method, path, query, purpose }: Call,
  { headers, body }: Pick<Arrival, "headers" | "body">,
): Content => ({
  stated: (name) => headers.get(name),
  get sameRequest() {
    return [method, path, query, purpose ?? null];
  },
  get uploadType() {
    return uploadTypeIn(headers);
  },
  async read(form, bytesMax = contentBytesMax): Promise<Result<Uint8Array, ContentRefusal>> {
    if (form === "upload" ? uploadTypeIn(headers) === undefined : !isOfForm(headers, form))
      return err({ reason: form === "patch" ? "patch_type_not_supported" : "body_type_not_supported" });
    const bytes = await readAtMost(body, bytesMax);
    if (bytes === undefined) return err({ reason: "body_too_large" });
    return bytes.length === 0 ? err({ reason: "body_missing" }) : ok(bytes);
  },
});
