/** Texts inside strings, each as it stands between quotes in JSON. */
const strings = [
  "Patient/1",
  "Patient/2/_history/3",
  "http://origin.internal:8080/fhir/Patient/3",
  "https://api.example/v1/fhir/main/Patient/4",
  "HTTP://Origin.Internal:8080/fhir/Observation/5",
  "http://origin.internal:8080/other",
  "see origin.internal:8080",
  "http%3A%2F%2Forigin.internal%3A8080%2Ffhir%2FPatient%2F6",
  "http:&#47;&#47;origin.internal:8080/fhir",
  "http:\\/\\/origin.internal:8080\\/fhir\\/Patient\\/7",
  "\\u0050atient/8",
  "Patient\\/9",
  "//origin.internal:8080/fhir/Patient/10",
  "http://elsewhere.example/Patient/11",
  "patient?identifier=1",
  "Patient",
  "#",
  "#p1",
  "\\u0023p1",
  "urn:uuid:6f3f7a52-6c0b-4a75-9a8e-0f1c43f43d36",
  "\\ud800",
  "\\ud83d\\ude00",
  "\\udc00\\ud800",
  "caf\u00e9 \u{1f600} \uff0f\uff0forigin.internal",
  "\u212aelvin or\u0131gin.internal:8080",
  'a\\"b',
  "a\\\\b",
  "a\\nb\\tc\\u000a",
  "50 %",
  "A & B",
  "\u007f",
  "\ufeff",
  "\u2028",
  "SUBSETTED",
  "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
  "http:\\/\\/hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
  "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
  "urn:x",
  "urn:mrn",
  "true",
  "",
];

/** Whole values, as JSON or as no JSON at all. */
const values = [
  "null",
  "true",
  "false",
  "[]",
  "{}",
  "[null]",
  "[[]]",
  "0",
  "-0",
  "1e999",
  "1.10",
  "1E+2",
  "01",
  "-",
  "1.",
  ".5",
  "+1",
  "1e",
  "NaN",
  "tru",
  "nul",
  "'x'",
  '{"id":"a"}',
  '{"reference":"Patient/12"}',
  '{"reference":"#p1","type":"Patient"}',
  '{"type":"http://hl7.org/fhir/StructureDefinition/Patient","display":"x"}',
  '{"display":"x"}',
  '{"reference":5,"display":"x"}',
  '{"identifier":{"system":"urn:mrn","value":"1"},"type":"Patient"}',
  '[{"url":"urn:x","valueString":"y"}]',
  '[{"valueString":"y","url":"urn:x"}]',
  '[{"url":"urn:x","url":"urn:y"}]',
  '[{"url":"urn:x","valueReference":{"reference":"Patient/13"}}]',
  '[{"url":"urn:x","valueMeta":{"security":[{"code":"R"}],"versionId":"9"}}]',
  '[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown"}]',
  '[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"x"}]',
  '[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"unknown","id":"1"}]',
  '[{"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"}]',
  '{"a":1,"a":2}',
  '{"a":{"b":1,"b":1}}',
  '{"__proto__":{"b":1},"constructor":1}',
  '[{"system":"urn:mrn","value":"1"},{"system":"urn:x","value":"2"},{"value":"3"},{"system":5}]',
  '[{"system":"http://terminology.hl7.org/CodeSystem/v3-ObservationValue","code":"SUBSETTED"}]',
  '[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]',
  '{"security":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"V"}],"tag":[{"code":"t"}]}',
  '{"lastUpdated":"2026-01-01T00:00:00Z","versionId":"2","tag":[]}',
  '{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/data-absent-reason","valueCode":"masked"}]}',
  '{"extension":[{"url":"urn:x","valueString":"z"}]}',
  `${"[".repeat(99)}${"]".repeat(99)}`,
  `${"[".repeat(101)}${"]".repeat(101)}`,
  `${'{"a":'.repeat(98)}1${"}".repeat(98)}`,
];

/** Members of a resource or of any object. */
const members = [
  '"resourceType":"Patient"',
  '"resourceType":5',
  '"id":"other"',
  '"id":null',
  '"_id":{"extension":[{"url":"urn:x"}]}',
  '"implicitRules":"x"',
  '"implicitRules":null',
  '"_implicitRules":{}',
  '"modifierExtension":[{"url":"urn:x"}]',
  '"modifierExtension":[]',
  '"contained":[{"resourceType":"Patient","id":"p1"}]',
  '"contained":[]',
  '"_birthDate":{"extension":[{"url":"urn:x","valueString":"y"}]}',
  '"_status":{"id":"s"}',
  '"_given":[null,{"id":"g"}]',
  '"_given":[null]',
  '"_system":{"extension":[{"url":"urn:x"}]}',
  '"deceasedDateTime":"2020-01-01","deceasedBoolean":false',
  '"deceasedDateTime":"2020-01-01"',
  '"_deceasedDateTime":{}',
  '"link":[{"other":{"reference":"Patient/14"},"type":"seealso"},{"other":{"reference":"Patient/1"},"type":"refer"}]',
  '"url":"http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"',
  '"url":"http:\\u002f/hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label"',
  '"\\u0075rl":"x"',
  '"id\\u0000":"x"',
  '"caf\u00e9":1',
  '"__proto__":{"a":1}',
  '"constructor":"x"',
  '"toString":null',
  '"0":1',
  // as many hash functions of names would have them: equal to `url`, to `id` and to each other
  '"vSl":"x"',
  '"jE":"x"',
  '"Aa":1,"BB":2',
  `"${"n".repeat(5_000)}":1`,
];

/** Bytes that are no UTF-8: overlong, surrogates, beyond Unicode, cut short. */
const badBytes = [
  [0xc0, 0x80],
  [0xc1, 0xbf],
  [0xe0, 0x80, 0x80],
  [0xed, 0xa0, 0x80],
  [0xf0, 0x80, 0x80, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0xf8, 0x88, 0x80, 0x80, 0x80],
  [0xff],
  [0x80],
  [0xe2, 0x82],
  [0xef, 0xbb, 0xbf],
  [0x00],
  [0x1f],
  [0x0a],
];

const spaces = [" ", "\n", "\t", "\r\n", "    ", "\u00a0", "\u000b"];

const decoder = new TextDecoder();

/** Another name with the engine's hash of a name: its last two letters in another combination. */
export function namesLike(name: string): string {
  const [second, last] = [name.charCodeAt(name.length - 2), name.charCodeAt(name.length - 1)];
  const shift = last + 31 > 126 ? 1 : -1; // 31 times the first letter counts
  return name.slice(0, -2) + String.fromCodePoint(second + shift, last - 31 * shift);
}

/** A text with one to four changes; `roll` gives numbers ≥ 0 and < 1. */
export function mutate(text: Uint8Array, roll: () => number): Uint8Array {
  let mutated = text;
  const times = 1 + Math.floor(roll() * 4);
  for (let time = 0; time < times; time += 1) mutated = mutateOnce(mutated, roll);
  return mutated;
}

const latin = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");

function mutateOnce(bytes: Uint8Array, roll: () => number): Uint8Array {
  const pick = <T>(list: readonly T[]): T => {
    const found = list[Math.floor(roll() * list.length)];
    if (found === undefined) throw new Error("an empty list");
    return found;
  };
  const utf8 = (text: string) => latin(new TextEncoder().encode(text));
  // A byte a character, so that positions in the text are positions in the bytes.
  const text = latin(bytes);
  const placesOf = (pattern: RegExp) => [...text.matchAll(pattern)];
  const replaceOne = (pattern: RegExp, by: (found: string) => string): string => {
    const places = placesOf(pattern);
    if (places.length === 0) return text;
    const place = pick(places);
    return text.slice(0, place.index) + by(place[0]) + text.slice(place.index + place[0].length);
  };
  const made = (): string => {
    switch (Math.floor(roll() * 17)) {
      case 0:
      case 1:
        return replaceOne(/:"[^"\\]*"/gu, () => `:"${utf8(pick(strings))}"`);
      case 2:
        return replaceOne(/:"[^"\\]*"/gu, (found) => `${found.slice(0, -1)} ${utf8(pick(strings))}"`);
      case 3:
        return replaceOne(/:(?:"[^"\\]*"|true|false|[\d.]+)/gu, () => `:${utf8(pick(values))}`);
      case 4:
        return replaceOne(/:\[[^[\]]*\]/gu, () => `:${utf8(pick(values))}`);
      case 5:
        return replaceOne(/:\{[^{}]*\}/gu, () => `:${utf8(pick(values))}`);
      case 6:
        return replaceOne(/\{"/gu, () => `{${utf8(pick(members))},"`);
      case 7:
        return replaceOne(/[^{,[]\}/gu, (found) => `${found[0]},${utf8(pick(members))}}`);
      case 8:
        return replaceOne(/,/gu, () => `,${utf8(pick(members))},`);
      case 9:
        return replaceOne(/[:,{}[\]]/gu, (found) => `${pick(spaces)}${found}${pick(spaces)}`);
      case 10: {
        // a member twice, near or far
        const pairs = placesOf(/"[A-Za-z]+":(?:"[^"\\]*"|true|[\d.]+)/gu);
        if (pairs.length === 0) return text;
        const [pair] = pick(pairs);
        return replaceOne(/,/gu, () => `,${pair},`);
      }
      case 11:
        return replaceOne(
          /"[A-Za-z]+":/gu,
          () =>
            `"${pick(["text", "value", "_value", "url", "extension", "id", "meta", "reference", "type", "code", "_code"])}":`,
        );
      case 12: {
        const at = Math.floor(roll() * text.length);
        return text.slice(0, at) + String.fromCodePoint(...pick(badBytes)) + text.slice(at);
      }
      case 13: {
        const at = Math.floor(roll() * text.length);
        return text.slice(0, at) + String.fromCodePoint(Math.floor(roll() * 256)) + text.slice(at + 1);
      }
      case 14: {
        const at = Math.floor(roll() * text.length);
        return roll() < 0.5
          ? text.slice(0, at)
          : text.slice(0, at) + text.slice(at + 1 + Math.floor(roll() * 20));
      }
      case 15:
        return replaceOne(/"[A-Za-z]{2,}":/gu, (found) => `"${namesLike(found.slice(1, -2))}":`);
      default: {
        // the last member first
        return replaceOne(/\{("[A-Za-z]+":"[^"\\]*"),("[A-Za-z]+":"[^"\\]*")/gu, (found) => {
          const [first = "", second = ""] = found.slice(1).split(/,(?=")/u);
          return `{${second},${first}`;
        });
      }
    }
  };
  return Uint8Array.from(Buffer.from(made(), "latin1"));
}

export const asText = (bytes: Uint8Array): string => decoder.decode(bytes);
