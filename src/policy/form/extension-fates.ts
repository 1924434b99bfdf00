const usCore = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-";

/** The extensions with a code that stay in a form, and their codes. */
export const codedExtensions: Readonly<Record<string, string>> = {
  "http://hl7.org/fhir/StructureDefinition/data-absent-reason":
    "unknown asked-unknown temp-unknown not-asked asked-declined masked not-applicable unsupported as-text " +
    "error not-a-number negative-infinity positive-infinity not-performed not-permitted",
  [`${usCore}birthsex`]: "F M UNK OTH ASKU",
};

/** The extensions whose parts have a Coding, and the names of these parts. Their `text` does not leave. */
export const codingExtensions: Readonly<Record<string, readonly string[]>> = {
  [`${usCore}race`]: ["ombCategory", "detailed"],
  [`${usCore}ethnicity`]: ["ombCategory", "detailed"],
};
