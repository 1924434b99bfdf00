import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
import { parseReference } from "#fhir/r4/reference";
import type { Statement } from "#policy/consent/consent";
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

/** The extension by which a statement follows a disputed resource (docs/amendment.md). */
const statementUrl = "urn:phylax:statement";

const usualSummary: Readonly<Record<Statement["kind"], string>> = {
  disagreement: "The patient asked for an amendment of this information, and disagrees with the denial.",
  "request-and-denial": "The patient asked for an amendment of this information, and the request was denied.",
};

/**
 * The part of a resource that leaves, with the statements of its patients (45 CFR 164.526(d)(5)): at each disputed row,
 * also at a copy of the row in a Bundle. A statement about some members follows these members: a view that hides them
 * all discloses no disputed information.
 *
 * @param base the gateway's FHIR base. @param name of the row; the same object if nothing follows it.
 */
export function withStatements(
  shown: JsonObject,
  statements: readonly Statement[],
  base: string,
  name = `${textAt(shown, "resourceType")}/${textAt(shown, "id")}`,
): JsonObject {
  if (statements.length === 0) return shown;
  const following = statements.filter(
    ({ rows, elements = Object.keys(shown).filter((member) => !ofId.has(member)) }) =>
      rows.includes(name) && elements.some((member) => hasContent(property(shown, member))),
  );
  const entries = property(shown, "entry"); // no type has entries with resources but a Bundle
  const stated = isArray(entries) ? entries.map((entry) => statedEntry(entry, statements, base)) : [];
  const isStated = isArray(entries) && stated.some((entry, index) => entry !== entries[index]);
  const whole = isStated ? { ...shown, entry: stated } : shown;
  if (following.length === 0) return whole;
  const own = extensionsOf(shown).filter((each) => !isStatement(each));
  return { ...whole, extension: [...own, ...following.map(extensionOf)] };
}

/** An entry of a Bundle. An entry with the address of a different server is no copy of a row. */
function statedEntry(entry: Json, statements: readonly Statement[], base: string): Json {
  const resource = isObject(entry) ? property(entry, "resource") : undefined;
  if (!isObject(entry) || !isObject(resource)) return entry;
  const place = parseReference(textAt(entry, "fullUrl") ?? "urn:", base);
  const name =
    place.kind === "local" ? `${place.type}/${place.id}` : place.kind === "foreign" ? "" : undefined;
  const stated = withStatements(resource, statements, base, name);
  return stated === resource ? entry : { ...entry, resource: stated };
}

/** An id alone discloses nothing that is disputed. */
const ofId: ReadonlySet<string> = new Set(["resourceType", "id", "meta"]);

/** The `Link` of a resource that carries statements, at itself or inside. @param base the gateway's FHIR base. */
export function statementLink(resource: JsonObject, base: string): string {
  const found = [resource, ...valuesAt(resource, ["entry", "resource"])].flatMap((each) =>
    isObject(each) ? extensionsOf(each).filter(isStatement) : [],
  );
  const messages = found.flatMap((each) => valuesAt(each, ["extension", "valueReference", "reference"]));
  const [first] =
    messages.length === 0
      ? [statementUrl]
      : messages.map((message) => `${base}/${typeof message === "string" ? message : ""}`);
  return `<${first}>; rel="related"; title="disputed by the patient"`;
}

/** An entry of a searchset with such a resource. */
export const statementEntry: string = JSON.stringify({
  resource: {
    resourceType: "OperationOutcome",
    issue: [
      {
        severity: "information",
        code: "informational",
        details: { text: "A patient disputes entries: each has an extension urn:phylax:statement." },
      },
    ],
  },
  search: { mode: "outcome" },
});

const extensionsOf = (resource: JsonObject): readonly Json[] => {
  const all = property(resource, "extension");
  return isArray(all) ? all : [];
};

export const isStatement = (extension: Json): extension is JsonObject =>
  isObject(extension) && textAt(extension, "url") === statementUrl;

/** A masked value has extensions alone, or parts that are masked. */
const hasContent = (value: Json | undefined): boolean =>
  isArray(value)
    ? value.some(hasContent)
    : isObject(value)
      ? Object.entries(value).some(([name, part]) => name !== "extension" && hasContent(part))
      : value !== undefined;

const extensionOf = ({ kind, summary, messages }: Statement): JsonObject => ({
  url: statementUrl,
  extension: [
    { url: "summary", valueString: summary ?? usualSummary[kind] },
    ...messages.map(({ role, reference }) => ({ url: role, valueReference: { reference } })),
  ],
});
