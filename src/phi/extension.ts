import { isArray, isObject, property, textAt, valuesAt, type Json, type JsonObject } from "#fhir/json/json";
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
 * The part of a resource that leaves, with the statements of its patient (45 CFR 164.526(d)(5)). A statement about some
 * members follows these members: a view that hides them all discloses no disputed information.
 */
export function withStatements(shown: JsonObject, statements: readonly Statement[]): JsonObject {
  const following = statements.filter(({ elements = Object.keys(shown).filter((name) => !ofId.has(name)) }) =>
    elements.some((name) => hasContent(property(shown, name))),
  );
  if (following.length === 0) return shown;
  const own = withoutStatements(shown);
  return { ...own, extension: [...extensionsOf(own), ...following.map(extensionOf)] };
}

/** An id alone discloses nothing that is disputed. */
const ofId: ReadonlySet<string> = new Set(["resourceType", "id", "meta"]);

/** A body without the extensions that {@link withStatements} added to the resource that its author read. */
export function withoutStatements(body: JsonObject): JsonObject {
  const all = extensionsOf(body);
  const others = all.filter((each) => !isStatement(each));
  if (others.length === all.length) return body;
  const { extension: _extension, ...rest } = body;
  return others.length === 0 ? rest : { ...rest, extension: others };
}

/** The `Link` of a resource that carries statements; undefined: it carries none. @param base the gateway's FHIR base. */
export function statementLink(resource: JsonObject, base: string): string | undefined {
  const found = extensionsOf(resource).filter(isStatement);
  if (found.length === 0) return undefined;
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

const isStatement = (extension: Json): extension is JsonObject =>
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
