/**
 * True if two URIs name the same code system: THO's canonical, FHIR STU3's URL, or the OID
 * (terminology.hl7.org, `identifier` of each system). Case, `https`, a trailing slash and a `|version` make
 * no difference. For decisions that fail closed: it equates more URIs than R4 does.
 */
export function isSameSystem(a: string, b: string): boolean {
  const [left, right] = [named(a), named(b)];
  return left === right || names.some((all) => all.includes(left) && all.includes(right));
}

// The systems of security labels (FHIR R4 security-labels): the same label may have any of these systems.
const names: readonly (readonly string[])[] = [
  [
    "http://terminology.hl7.org/codesystem/v3-confidentiality",
    "http://hl7.org/fhir/v3/confidentiality",
    "2.16.840.1.113883.5.25",
  ],
  [
    "http://terminology.hl7.org/codesystem/v3-actcode",
    "http://hl7.org/fhir/v3/actcode",
    "2.16.840.1.113883.5.4",
  ],
  [
    "http://terminology.hl7.org/codesystem/v3-actusprivacylaw",
    "http://hl7.org/fhir/v3/actusprivacylaw",
    "2.16.840.1.113883.5.1138",
  ],
];

const named = (uri: string): string =>
  uri
    .trim()
    .toLowerCase()
    .replace(/\|.*$/u, "")
    .replace(/\/+$/u, "")
    .replace(/^https:/u, "http:")
    .replace(/^urn:oid:/u, "");
