import { idForm } from "./fhir-names.ts";

/** The form of an origin's name, as the source of a pattern: the registry names it so, and URLs have it. */
export const originName = "[a-z][a-z0-9-]{0,31}";

/** The form in which operators and records name a resource: `<origin>/<type>/<id>`. */
export const resourceAtOrigin = (type: "Patient" | "Consent"): RegExp =>
  new RegExp(`^${originName}/${type}/${idForm}$`, "u");
