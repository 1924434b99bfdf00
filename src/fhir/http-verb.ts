/** The methods of FHIR's interface (http://hl7.org/fhir/http-verb): of a request, and of an entry of a Bundle. */
export const httpVerbs = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;
export type HttpVerb = (typeof httpVerbs)[number];
