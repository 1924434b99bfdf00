import { idForm } from "#fhir/r4/names";
import { baseNames, readingsBelow, type FhirBase } from "#fhir/r4/reference";

const place = new RegExp(
  `^(?:[A-Za-z0-9_-]+/)*(?<of>[A-Za-z]+)/(?<id>${idForm})(?:/_history/(?<version>${idForm}))?$`,
  "u",
);

/** The id and the version of a stored resource. */
interface StoredPlace {
  readonly id: string;
  readonly version: string | undefined;
}

/**
 * Reads the `Location` of a write's answer (FHIR R4 http §3.1.0.8), in each form that servers use. `undefined`
 * for an address outside of the origin's base, and for a different type.
 */
export function storedPlace(location: string, type: string, base: FhirBase): StoredPlace | undefined {
  const [below] = readingsBelow(atServer(location, base), base);
  const { of, id, version } = place.exec(below ?? "")?.groups ?? {};
  return id === undefined || of !== type ? undefined : { id, version };
}

/** A `Location` that is a path belongs to the origin's server (RFC 9110 §10.2.2); `//` begins another server's name. */
function atServer(location: string, base: FhirBase): string {
  if (!/^\/[^/]/u.test(location)) return location;
  return `${/^[^/]+\/\/[^/]+/u.exec(baseNames(base)[0])?.[0] ?? ""}${location}`;
}
