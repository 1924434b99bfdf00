/** Header fields by their names. One object costs less than a call of the runtime for each field. */
export type HeaderFields = Record<string, string>;

/**
 * Headers of every answer of the FHIR API and of the operators' door: no cache may store it, no browser may
 * guess its type or go back to plain HTTP.
 */
export const baseFields = (requestId: string): HeaderFields => ({
  "x-request-id": requestId,
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "strict-transport-security": "max-age=63072000",
});

/** {@link baseFields} for a head to which further headers are added one by one. */
export const baseHeaders = (requestId: string): Headers => new Headers(baseFields(requestId));

export function setAll(headers: Headers, values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) headers.set(name, value);
}
