import type { Answer, OriginCall } from "../call.ts";
import type { Stored } from "../stored.ts";
import { field, text } from "../values.ts";

/**
 * A Binary made of content of any type except FHIR's own (R4 binary.html); undefined: the body is the
 * resource itself, or has no content.
 */
export function submittedBinary({
  body,
  params,
  headers,
}: OriginCall): (Record<string, unknown> & { readonly resourceType: string }) | undefined {
  if (body.kind !== "other" && body.kind !== "json") return undefined;
  if (
    body.kind === "json" &&
    (body.type.startsWith("application/fhir+json") || field(body.value, "resourceType") === "Binary")
  )
    return undefined;
  const context = headers["x-security-context"];
  return {
    resourceType: "Binary",
    ...(params["id"] !== undefined && { id: params["id"] }),
    contentType: body.type,
    ...(context !== undefined && { securityContext: { reference: context } }),
    data: body.bytes.toString("base64"),
  };
}

/**
 * The raw content of a Binary, for a client that does not ask for FHIR; undefined: the client asks for the
 * resource.
 */
export function binaryContent(stored: Stored, { headers, query }: OriginCall): Answer["raw"] {
  const format = new Map(query).get("_format");
  if (format !== undefined || /\bapplication\/(?:fhir\+)?json\b/u.test(headers["accept"] ?? ""))
    return undefined;
  return {
    type: text(stored, "contentType") ?? "application/octet-stream",
    bytes: Buffer.from(text(stored, "data") ?? "", "base64"),
    securityContext: text(field(stored, "securityContext"), "reference"),
  };
}
