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

/** `meta` of a row that no starter policy shows. */
export const restricted = {
  security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }],
};

/** An entry of a batch or a transaction. */
export const entryOf = (method: string, url: string, resource?: object) => ({
  request: { method, url },
  ...(resource && { resource }),
});

/** A posted Bundle, as a question of two worlds. */
export const bundleOf = (type: string, ...entry: readonly object[]) => ({
  path: "",
  method: "POST",
  headers: fhirJson,
  body: { resourceType: "Bundle", type, entry },
});

export interface FhirReply<T> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Undefined: no body, or a body without JSON. */
  readonly body: T;
}

export async function readReply<T>(response: Response): Promise<FhirReply<T>> {
  const { status, headers } = response;
  const text = await response.text();
  return { status, headers, text, body: text.startsWith("{") ? JSON.parse(text) : undefined };
}
