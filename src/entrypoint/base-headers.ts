/**
 * Headers of every answer of the FHIR API and of the operators' door: no cache may store it, no browser may
 * guess its type or go back to plain HTTP.
 */
export const baseHeaders = (requestId: string): Headers =>
  new Headers({
    "x-request-id": requestId,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "strict-transport-security": "max-age=63072000",
  });

export function setAll(headers: Headers, values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) headers.set(name, value);
}
