import { textAt, type JsonObject } from "#fhir/json/json";
import { dataAbsentReason } from "#policy/view/masked";
import { showsExtension, type ExtensionList } from "#policy/view/view";

/**
 * Data-absent-reason is shown everywhere, so it must transport nothing: only the code, and only a code of R4.
 * The policy decides about every further extension.
 */
export function isShown(extension: JsonObject, shown: ExtensionList): boolean {
  const url = textAt(extension, "url") ?? "";
  if (url !== dataAbsentReason || shown.all || shown.urls.has(url)) return showsExtension(shown, url);
  return Object.keys(extension).length === 2 && absentReasons.has(textAt(extension, "valueCode") ?? "");
}

// http://hl7.org/fhir/data-absent-reason, R4.
const absentReasons: ReadonlySet<string> = new Set(
  "unknown asked-unknown temp-unknown not-asked asked-declined masked not-applicable unsupported as-text error not-a-number negative-infinity positive-infinity not-performed not-permitted".split(
    " ",
  ),
);
