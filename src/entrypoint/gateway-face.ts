import { exceptionToShow } from "#audit/information-blocking";
import { facesOf, type ReasonsAt } from "./faces-of.ts";
import type { GatewayFace } from "./public-face.ts";

/** A refusal of the FHIR API, as far as its public face shows it. */
export interface FacedRefusal {
  readonly reason: ReasonsAt<"gateway">;
  /** A search parameter's code. */
  readonly parameter?: string;
  /** The code of an operation, or the name in the address. */
  readonly operation?: string;
  /** The code of an interaction. */
  readonly interaction?: string;
  /** Of an update of a row by its id. */
  readonly isUpdate?: true;
}

export const gatewayFaces = facesOf("gateway");

/**
 * The public face of a refusal. The text names a parameter, operation or interaction: the names are FHIR's
 * own, never values.
 */
export function faceOf(refusal: FacedRefusal): GatewayFace {
  const known = gatewayFaces[refusal.reason];
  const plain =
    refusal.isUpdate && known.code === "not-found" ? { ...known, text: `${known.text} ${toCreate}` } : known;
  const exception = exceptionToShow(refusal.reason);
  const face = exception === undefined ? plain : { ...plain, exception };
  const name = nameIn(refusal);
  return name === undefined ? face : { ...face, text: `${face.text} (${name})` };
}

const toCreate =
  "To create a resource, POST it; under an id of your choice only with the idPrefix of this client's registry entry.";

function nameIn({ reason, parameter, operation, interaction }: FacedRefusal): string | undefined {
  if (parameter !== undefined) return parameter;
  if (operation !== undefined) return operation;
  return reason === "interaction_not_supported" ? interaction : undefined;
}
