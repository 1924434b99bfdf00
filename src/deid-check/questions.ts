import type { ReadValue } from "./read-json.ts";

type ReadObject = Extract<ReadValue, { kind: "object" }>;

// LOINC and SNOMED CT: what asks for an age, and what measures from 0 to 100 in no unit.
const ages =
  /^(?:http:\/\/loinc\.org (?:21611-9|21612-7|29553-5|30525-0|30972-4|63900-5)|http:\/\/snomed\.info\/sct (?:397669002|424144002|105727008))$/u;
const scales =
  /^(?:http:\/\/loinc\.org (?:89243-0|96761-2)|http:\/\/snomed\.info\/sct (?:761869008|273302005|443364002))$/u;

const memberOf = (value: ReadValue | undefined, name: string): ReadValue | undefined =>
  value?.kind === "object" ? value.members.find(([member]) => member === name)?.[1] : undefined;

/** Each coding that an object asks or measures by, as `system code`. */
function askedBy(object: ReadObject | undefined): readonly string[] {
  return ["code", "measure"].flatMap((name) => {
    const list = memberOf(memberOf(object, name), "coding");
    return (list?.kind === "list" ? list.items : []).map((coding) =>
      ["system", "code"]
        .map((part) => memberOf(coding, part))
        .map((part) => (part?.kind === "text" ? part.text : ""))
        .join(" "),
    );
  });
}

/** Answers whether an object asks for an age. */
export const isAskedAge = (object: ReadObject | undefined): boolean =>
  askedBy(object).some((each) => ages.test(each));

/** Answers whether a value is the coded answer of an object that asks for an age. */
export const isCodedAge = (name: string, object: ReadObject | undefined): boolean =>
  /^(?:value|detail)(?:CodeableConcept|Coding)$/u.test(name) && isAskedAge(object);

/** Answers whether all codings of an object are of scales from 0 to 100. */
export function isOfScale(object: ReadObject | undefined): boolean {
  const asked = askedBy(object);
  return asked.length > 0 && asked.every((each) => scales.test(each));
}

/** Answers whether the words and numbers of a code say an age over 89. */
export function saysOldAge(code: string): boolean {
  const words = code.toLowerCase().match(/[a-z]+|\d+/gu) ?? [];
  const isOld = words.some((word) => /^\d+$/u.test(word) && Number(word) >= 90 && Number(word) < 130);
  const isAge = words.some((word, at) =>
    word === "y" ? /^\d+$/u.test(words[at - 1] ?? "") : /age|year|yr|over|older|plus/u.test(word),
  );
  return (isOld && isAge) || words.some((word) => /(?:nonagen|centen)arian/u.test(word));
}
