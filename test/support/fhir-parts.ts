// Parts of FHIR requests and resources that many tests repeat.

export const fhirJson = { "content-type": "application/fhir+json" } as const;
export const jsonPatch = { "content-type": "application/json-patch+json" } as const;

export const to = (reference: string) => ({ reference });

/** A request with a resource, or a Bundle, as its body. */
export const fhirSending = (method: string, resource: unknown, headers: object = {}) => ({
  method,
  headers: { ...fhirJson, ...headers },
  body: JSON.stringify(resource),
});
