import {
  classByName,
  classByValue,
  classes,
  mayBeDate,
  type CheckedForm,
  type IdentifierName,
} from "./identifiers.ts";
import { r4CodedNames, r4MemberNames, r4RequiredCodes } from "./r4-names.gen.ts";
import { isAskedAge, isCodedAge, isOfScale, saysOldAge } from "./questions.ts";
import type { ReadValue } from "./read-json.ts";
import { readUnit } from "./units.ts";

/** An identifier that left: its place and its paragraph, never its value. */
export interface LeftIdentifier {
  /** `Patient.contact.name.family`; an unknown member is `?`. */
  readonly path: string;
  readonly identifier: string;
  /** The paragraph of 45 CFR 164.514(b)(2)(i) or (e)(2). */
  readonly paragraph: string;
}

type ReadObject = Extract<ReadValue, { kind: "object" }>;

/**
 * Finds every identifier in a resource that left in this form. The checker knows no types: a text is good only
 * if its member is on a short list and the text has the grammar of that member.
 * @param year the year of the check, on which ages are judged
 */
export function findIdentifiers(
  resource: ReadValue,
  form: CheckedForm,
  year: number,
): readonly LeftIdentifier[] {
  const walk = new Walk(form, year);
  walk.row(resource, emptyPlace);
  return walk.findings;
}

interface Place {
  readonly path: string;
  readonly name: string;
  readonly resourceType: string;
  readonly parent: ReadObject | undefined;
  /** The object around the parent. */
  readonly around: ReadObject | undefined;
}

const memberNames: ReadonlySet<string> = new Set(r4MemberNames.split(" "));
const codedNames: ReadonlySet<string> = new Set(r4CodedNames.split(" "));
const requiredCodes: ReadonlySet<string> = new Set(r4RequiredCodes.split(" "));

class Walk {
  readonly findings: LeftIdentifier[] = [];
  readonly #form: CheckedForm;
  readonly #year: number;

  constructor(form: CheckedForm, year: number) {
    this.#form = form;
    this.#year = year;
  }

  /** The largest age of the row that stays, and the first year beside it. */
  #age = { years: 0, place: emptyPlace };
  #firstYear = Infinity;

  /** A resource: its ages and years tell the present age together, and an age alone waits for a year elsewhere. */
  row(value: ReadValue, place: Place): void {
    const around = { age: this.#age, firstYear: this.#firstYear };
    [this.#age, this.#firstYear] = [{ years: 0, place }, Infinity];
    this.value(value, place);
    const { years, place: told } = this.#age;
    if (years >= 1 && !(years + this.#year - this.#firstYear < 90 && this.#firstYear < Infinity))
      this.#note("age", told);
    [this.#age, this.#firstYear] = [around.age, around.firstYear];
  }

  value(value: ReadValue, place: Place): void {
    if (value.kind === "object") this.#object(value, place);
    else if (value.kind === "list") for (const item of value.items) this.value(item, place);
    else if (value.kind === "text") this.#note(this.#textClass(value.text, place), place);
    else if (value.kind === "number") this.#note(this.#numberClass(value.text, place), place);
  }

  #object(object: ReadObject, { path, resourceType, name, parent }: Place): void {
    const type = textOf(object, "resourceType") ?? resourceType;
    const here = path === "" || textOf(object, "resourceType") !== undefined ? joined(path, type) : path;
    const seen = new Set<string>();
    for (const [member, value] of object.members) {
      const plain = member.startsWith("_") ? member.slice(1) : member;
      const isKnown = memberNames.has(plain) && !seen.has(member);
      seen.add(member);
      const place = {
        path: joined(here, isKnown ? member : "?"),
        name: plain,
        resourceType: type,
        parent: object,
        around: parent,
      };
      if (isKnown && plain === "resource") this.row(value, place);
      else if (isKnown) this.value(value, place);
      else this.#note("other", place);
    }
    if (isCodedAge(name, parent)) this.#note("age", { ...emptyPlace, path: here });
    if (name === "extension" && !isNamedExtension(object)) this.#note("other", { ...emptyPlace, path: here });
  }

  #note(found: IdentifierName | undefined, { path }: Place): void {
    if (found === undefined) return;
    const { name, safeHarbor, limited } = classes[found];
    const paragraph = this.#form === "safe-harbor" ? safeHarbor : limited;
    if (paragraph !== undefined) this.findings.push({ path, identifier: name, paragraph });
  }

  #textClass(text: string, place: Place): IdentifierName | undefined {
    if (isPermitted(text, place)) return isOldAge(text, place) ? "age" : undefined;
    if (/^\d{4}$/u.test(text) && isDate(place)) {
      this.#firstYear = Math.min(this.#firstYear, Number(text));
      return this.#year - Number(text) >= 90 ? "age" : undefined;
    }
    if (place.name === "postalCode") return "area";
    if (place.name === "system") return "url"; // an OID looks like a number
    const byValue = classByValue(text);
    // The town, State and time of a limited data set are free texts.
    if (this.#form === "limited-data-set" && isFreeOfLimited(place.name)) return undefined;
    return byValue ?? classByName(place.name);
  }

  #numberClass(text: string, place: Place): IdentifierName | undefined {
    const { name, parent } = place;
    if (["latitude", "longitude", "altitude"].includes(name)) return "place";
    if (/^(?:value|detail)(?:Integer|Decimal|PositiveInt|UnsignedInt)$/u.test(name)) return "age";
    const { timed } = /\.repeat\.(?<timed>duration|period)(?:Max)?$/u.exec(place.path)?.groups ?? {};
    const [code, unit] =
      timed === undefined
        ? [textOf(parent, "code"), textOf(parent, "unit")]
        : [textOf(parent, `${timed}Unit`), "a"];
    if ((name !== "value" && timed === undefined) || (code ?? unit) === undefined) return undefined; // Money
    const read = readUnit(code ?? unit ?? "");
    if (read === undefined) return "other";
    if (read.kind === "other") return isAskedAge(place.around) ? "age" : undefined;
    const size = Math.abs(Number(text)) * (read.kind === "time" ? read.years : read.ones);
    if (text === "90" && code === "a" && textOf(parent, "comparator") === ">=") return undefined;
    if (size >= 90)
      return read.kind === "number" && size <= 100 && isOfScale(place.around) ? undefined : "age";
    if (read.kind === "time" && size > this.#age.years) this.#age = { years: size, place };
    return undefined;
  }
}

const emptyPlace: Place = { path: "", name: "", resourceType: "", parent: undefined, around: undefined };
const joined = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);
const isFreeOfLimited = (name: string): boolean => ["city", "state", "country"].includes(name);
const isDate = ({ name, path }: Place): boolean => mayBeDate(name) || path.endsWith(".dateCriterion.value");

function textOf(object: ReadObject | undefined, name: string): string | undefined {
  const value = object?.members.find(([member]) => member === name)?.[1];
  return value?.kind === "text" ? value.text : undefined;
}

/** 26 letters and digits of base 32, or 32 of hex: 130 or 128 random bits. */
const randomCode = "(?:[a-z2-7]{26}|[0-9a-f]{32})";
const publicSystem =
  /^(?:http:\/\/(?:terminology\.hl7\.org\/CodeSystem\/[A-Za-z0-9.-]+|hl7\.org\/fhir\/(?!sid\/us-(?!npi$))[A-Za-z0-9/-]+|snomed\.info\/sct|loinc\.org|unitsofmeasure\.org|nucc\.org\/provider-taxonomy|www\.(?:ama-assn\.org\/go\/cpt|ada\.org\/cdt|whocc\.no\/atc|cms\.gov\/Medicare\/Coding\/ICD10|nlm\.nih\.gov\/research\/umls\/(?:rxnorm|hcpcs))|dicom\.nema\.org\/resources\/ontology\/DCM)|https:\/\/bluebutton\.cms\.gov\/resources\/codesystem\/hcpcs|urn:oid:2\.16\.840\.1\.113883\.6\.238|urn:iso:std:iso:(?:3166|4217)|urn:ietf:bcp:(?:13|47))$/u;
const smallAreas: ReadonlySet<string> = new Set(
  "036 059 063 102 202 203 204 205 369 556 692 753 772 790 821 823 830 831 878 879 884 890 893".split(" "),
);

/** The grammar of each member whose text may stay. */
const grammars: Readonly<Record<string, RegExp>> = {
  resourceType: /^[A-Z][A-Za-z]{2,40}$/u,
  id: new RegExp(`^(?:${randomCode}|c\\d{1,4})$`, "u"),
  reference: new RegExp(`^(?:[A-Z][A-Za-z]{2,40}/${randomCode}|#(?:c\\d{1,4})?)$`, "u"),
  system: publicSystem,
  profile: /^http:\/\/hl7\.org\/fhir\/(?:us\/core\/)?StructureDefinition\/[a-z-]+(?:\|[\d.]+)?$/u,
  state: /^[A-Z]{2}$/u,
  country: /^[A-Z]{2,3}$/u,
  language: /^[a-z]{2,3}(?:-[A-Za-z]{2,4}){0,2}$/u,
  contentType: /^[a-z]+\/[a-z0-9.+-]+$/u,
  currency: /^[A-Z]{3}$/u,
};

function isPermitted(text: string, { name, parent, resourceType }: Place): boolean {
  if (Object.hasOwn(grammars, name) && grammars[name]?.test(text) === true) return true;
  if (name === "code" || name === "unit") return isCode(text, parent);
  if (name === "url") return isNamed(text);
  if (name === "valueCode") return /^[A-Za-z-]{1,20}$/u.test(text) && isNamed(textOf(parent, "url"));
  if (name === "postalCode") return text === "000" || (/^\d{3}$/u.test(text) && !smallAreas.has(text));
  // Providers are not the individuals of (b)(2)(i).
  if (resourceType === "Practitioner" && ["family", "given", "prefix", "suffix"].includes(name)) return true;
  if (name === "value" && textOf(parent, "system") === "http://hl7.org/fhir/sid/us-npi")
    return resourceType === "Practitioner" && /^[12]\d{9}$/u.test(text);
  return codedNames.has(name) && requiredCodes.has(text);
}

/** A code of HL7 has words; the codes of other systems are numbers. */
const isOldAge = (text: string, { name, parent }: Place): boolean =>
  name === "code" && /hl7\.org\//u.test(textOf(parent, "system") ?? "") && saysOldAge(text);

/** A code of a public system, or a unit of UCUM that the checker can read. */
function isCode(text: string, parent: ReadObject | undefined): boolean {
  const system = textOf(parent, "system");
  if (system === undefined || !publicSystem.test(system)) return false;
  if (system === "http://unitsofmeasure.org") return readUnit(text) !== undefined;
  return /^[!-~]{1,48}$/u.test(text) && !/@|:\/\/|\d{3}[-.]\d{2,3}[-.]\d{4}|\d{4}-\d{2}-\d{2}/u.test(text);
}

const usCore = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-";
const namedUrls: ReadonlySet<string> = new Set([
  ...["race", "ethnicity", "birthsex"].map((name) => usCore + name),
  "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
  "ombCategory",
  "detailed",
]);

const isNamed = (url = ""): boolean => namedUrls.has(url);
const isNamedExtension = (extension: ReadObject): boolean => isNamed(textOf(extension, "url"));
