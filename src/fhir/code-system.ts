import { memo } from "#kernel/memo";

/**
 * The name of a code system that stands for all its names: THO's canonical, FHIR STU3's URL, or the OID
 * (terminology.hl7.org, `identifier` of each system). Case, `https`, a trailing slash and a `|version` make
 * no difference. For decisions that fail closed: it equates more URIs than R4 does.
 */
export const systemName = (uri: string): string => (uri.length > 200 ? nameOf(uri) : remembered(uri));

function nameOf(uri: string): string {
  const [unversioned = ""] = uri.trim().toLowerCase().split("|", 1);
  // A pattern for slashes at the end would begin anew at each slash: the square of a long text.
  let end = unversioned.length;
  while (unversioned.charAt(end - 1) === "/") end -= 1;
  const name = unversioned
    .slice(0, end)
    .replace(/^https:/u, "http:")
    .replace(/^urn:oid:/u, "");
  return canonicals.get(name) ?? name;
}

// Most rows name the same few systems; a longer text is none of them, and would fill the memory.
const remembered = memo(256, nameOf);

/** True if two URIs name the same code system. */
export const isSameSystem = (a: string, b: string): boolean => systemName(a) === systemName(b);

// The systems of security labels (FHIR R4 security-labels) and of clinical codes, each with its other names.
const names: readonly (readonly [canonical: string, ...others: string[]])[] = [
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
  ["http://snomed.info/sct", "2.16.840.1.113883.6.96"],
  ["http://loinc.org", "2.16.840.1.113883.6.1"],
  ["http://www.nlm.nih.gov/research/umls/rxnorm", "2.16.840.1.113883.6.88"],
  ["http://hl7.org/fhir/sid/icd-10-cm", "2.16.840.1.113883.6.90", "http://hl7.org/fhir/sid/icd-10-us"],
  ["http://www.cms.gov/medicare/coding/hcpcsreleasecodesets", "2.16.840.1.113883.6.285"],
  ["http://hl7.org/fhir/sid/icd-10", "2.16.840.1.113883.6.3"],
];
const canonicals: ReadonlyMap<string, string> = new Map(
  names.flatMap(([canonical, ...others]) => others.map((other) => [other, canonical] as const)),
);
