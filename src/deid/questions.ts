import { isArray, isObject, property, textAt, type JsonObject } from "#fhir/json/json";
import { isKnownCode } from "./known-codes.ts";

const loinc = "http://loinc.org";
const snomed = "http://snomed.info/sct";

const named = (rows: Readonly<Record<string, string>>): ReadonlySet<string> =>
  new Set(
    Object.entries(rows).flatMap(([system, codes]) => codes.split(" ").map((code) => `${system}|${code}`)),
  );

/**
 * The questions whose answer is an age: LOINC's of HL7's value set LOINCObservationActContextAgeType and
 * "Current age or age at death"; SNOMED CT's Age, Current chronological age, and Age AND/OR growth period.
 */
const ofAges = named({
  [loinc]: "21611-9 21612-7 29553-5 30525-0 30972-4 63900-5",
  [snomed]: "397669002 424144002 105727008",
});

/**
 * The scales from 0 to 100 whose score has no unit of its own: the performance status of Karnofsky and the indices of
 * Barthel, as LOINC and SNOMED CT name them.
 */
const ofScales = named({ [loinc]: "89243-0 96761-2", [snomed]: "761869008 273302005 443364002" });
export const scaleMax = 100;

/** Codings of what an object asks or measures, each as `system|code`: those that leave. */
function questionsOf(object: JsonObject): readonly string[] {
  const codings = ["code", "measure"].flatMap((name) => {
    const concept = property(object, name);
    const list = isObject(concept) ? property(concept, "coding") : undefined;
    return isArray(list) ? list.filter(isObject) : [];
  });
  return codings.flatMap((coding) => {
    const [system, code] = [textAt(coding, "system") ?? "", textAt(coding, "code") ?? ""];
    return isKnownCode(system, code) ? [`${system}|${code}`] : [];
  });
}

export const isOfAges = (system: string, code: string): boolean => ofAges.has(`${system}|${code}`);

/** Answers whether an object asks for an age: the code of its answer may tell an age over 89. */
export const asksAge = (object: JsonObject): boolean => questionsOf(object).some((each) => ofAges.has(each));

/** Answers whether an object measures on a scale to {@link scaleMax}, by each of its codes that leave. */
export function isOnScale(object: JsonObject): boolean {
  const questions = questionsOf(object);
  return questions.length > 0 && questions.every((each) => ofScales.has(each));
}
