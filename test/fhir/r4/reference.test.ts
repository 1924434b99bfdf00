import * as fc from "fast-check";
import { test } from "vitest";
import { isId, mentionOf, parseReference, patientIn } from "#fhir/r4/reference";
import { inLane } from "../../support/lane.ts";

const base = "https://origin.example/fhir";
const parse = (text: string) => parseReference(text, base);

test("a local reference is read from its relative and its absolute form, and a version is the same resource", ({
  expect,
}) => {
  const patient = { kind: "local", type: "Patient", id: "1" };
  for (const text of [
    "Patient/1",
    `${base}/Patient/1`,
    "Patient/1/_history/7",
    `${base}/Patient/1/_history/7`,
  ])
    expect(parse(text), text).toEqual(patient);
});

test("a reference below any name of the base is local, even if a name is below a second name", ({
  expect,
}) => {
  const names = ["https://proxy.example/fhir", "http://ehr.internal", "http://ehr.internal/r4"] as const;
  const local = { kind: "local", type: "Patient", id: "1" };
  for (const name of names) expect(parseReference(`${name}/Patient/1`, names), name).toEqual(local);
  for (const text of [
    "http://ehr.internal/r5/Patient/1",
    "http://ehr.internal.evil/Patient/1",
    "https://ehr.internal/Patient/1",
  ])
    expect(parseReference(text, names), text).toEqual({ kind: "foreign" });
  expect(patientIn("http://EHR.internal:80/r4//Patient/1?x", [names, "https://gateway.example"])).toBe("1");
});

test("Patient/1 is not Patient/12, and a base is no prefix of a longer base", ({ expect }) => {
  expect(parse("Patient/12")).toEqual({ kind: "local", type: "Patient", id: "12" });
  for (const text of [
    `${base}2/Patient/1`,
    `${base}2Patient/1`,
    "https://origin.example/Patient/1",
    "https://origin.example.evil/fhir/Patient/1",
    `x${base}/Patient/1`,
    "//origin.example/fhir/Patient/1",
    "Patient/1?x",
    "Patient/1/",
    "Patient//1",
    "/Patient/1",
    "../Patient/1",
    "Patient/1/Observation/2",
    "Patient/a b",
    "patient/1",
    "Toaster/1",
    "Patient/",
    "Patient",
    "",
    `Patient/${"a".repeat(65)}`,
    "Patient/1/_history/",
    "Patient?identifier=x",
    "Patient/1#p",
    "Patient/1\n",
  ])
    expect(parse(text).kind, text).toBe("foreign");
});

test("fragments and URNs are neither local nor foreign", ({ expect }) => {
  expect(parse("#p1")).toEqual({ kind: "fragment", id: "p1" });
  expect(parse("#")).toEqual({ kind: "fragment", id: "" });
  expect(parse("urn:uuid:1d2c3b4a-0000-4000-8000-000000000000")).toEqual({ kind: "urn" });
});

test("for the record, a text names the patient that a reader would reach by following it, even if it is no reference of R4", ({
  expect,
}) => {
  const bases = [base, "https://api.example/v1/fhir/main"];
  for (const text of [
    "Patient/x",
    `${base}/Patient/x`,
    "HTTPS://ORIGIN.example/fhir/Patient/x",
    "http://origin.example/fhir/Patient/x",
    "https://origin.example:443/fhir/Patient/x",
    "http://origin.example:443/fhir/Patient/x",
    "https://origin.example./fhir/Patient/x",
    "https://u:p@origin.example/fhir/Patient/x",
    "//origin.example/fhir/Patient/x",
    "https://origin.example/fhir//Patient//x/",
    "https://origin.example\\fhir\\Patient\\x",
    "https://api.example/v1/fhir/main/Patient/x",
    "http://api.example/v1/fhir/main/Patient/x/_history/2",
    "Patient/x#a",
    "Patient/x?y",
    "/Patient/x",
    "../fhir/Patient/x",
    "./Patient/x",
    " Patient/x\n",
    "%50atient/%78",
  ]) {
    expect(patientIn(text, bases), text).toBe("x");
    expect(mentionOf({ reference: text }, bases), text).toEqual({ kind: "patient", id: "x" });
  }
  for (const text of [
    "https://origin.example/fhir2/Patient/x",
    "https://origin.example:8443/fhir/Patient/x",
    "https://e.example/Patient/x",
  ])
    expect(patientIn(text, bases), text).toBeUndefined();
});

test("for the record, the fast path for a plain reference finds the same patient as a URL parser", ({
  expect,
}) => {
  const bases = [base, `${base}/v1`, "http://127.0.0.1:38123/%66hir", "https://origin.example"];
  const part = fc.oneof(
    fc.constantFrom(
      "Patient",
      "Observation",
      "patient",
      "_history",
      "fhir",
      "v1",
      "1",
      ".",
      "..",
      "...",
      ".1",
      "1.",
      "%2e",
      "%50atient",
      "",
    ),
    fc.string({ unit: fc.constantFrom("a", "-", ".", "/", "\\", "%", "?", "#", " "), maxLength: 4 }),
  );
  const start = fc.constantFrom("", "", "/", ...bases.map((one) => `${one}/`));
  const found = new Set<string | undefined>();
  fc.assert(
    fc.property(start, fc.array(part, { maxLength: 5 }), (before, parts) => {
      const text = before + parts.join("/");
      for (const list of [bases, bases.toReversed()]) {
        expect(patientIn(text, list), text).toBe(patientParsed(text, list));
        found.add(patientIn(text, list));
      }
    }),
    { numRuns: inLane({ fast: 3_000, slow: 10_000, long: 10_000 }) },
  );
  expect(found.size).toBeGreaterThan(3);
});

/** Reads every text with the URL parser. */
function patientParsed(text: string, bases: readonly string[]): string | undefined {
  if (!/patient|%/iu.test(text)) return undefined;
  for (const base of bases) {
    const reference = parseReference(parsedBelow(text, base) ?? text, base);
    if (reference.kind === "local") return reference.type === "Patient" ? reference.id : undefined;
  }
  return undefined;
}

function parsedBelow(text: string, base: string): string | undefined {
  const home = new URL(`${base}/`);
  const url = URL.parse(text.trim().replace(/^[/\\](?![/\\])/u, ""), home.href);
  if (url === null || !/^https?:$/u.test(url.protocol) || url.host !== home.host) return undefined;
  const [path, start] = [url, home].map(({ pathname }) => decodedPath(pathname.replaceAll(/\/{2,}/gu, "/")));
  return path?.startsWith(start ?? "") === true ? path.slice(start?.length).replace(/\/$/u, "") : undefined;
}

function decodedPath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

test("for the record, a reference to a patient without a local id counts as an unidentified patient", ({
  expect,
}) => {
  const mention = (reference: Record<string, string>) => mentionOf(reference, [base]).kind;
  for (const reference of [
    "https://e.example/Patient/x",
    "Patient?identifier=x",
    "Patient/a b",
    "Patient",
    "../Patient/x",
    "Patient/%zz",
  ])
    expect(mention({ reference }), reference).toBe("unidentified");
  expect(mention({ type: "Patient" })).toBe("unidentified");
  expect(mention({ type: "http://hl7.org/fhir/StructureDefinition/Patient" })).toBe("unidentified");
  for (const reference of [
    "Group/1",
    "#p",
    "urn:uuid:1",
    "https://e.example/Practitioner/1",
    "Observation/patient",
    "",
  ])
    expect(mention({ reference }), reference).toBe("none");
});

test("an id of dots only is no id: it would fold the path of the request", ({ expect }) => {
  for (const text of [
    "Patient/..",
    "Patient/.",
    "Patient/...",
    "Practitioner/1/_history/..",
    `${base}/Patient/..`,
  ])
    expect(parse(text), text).toEqual({ kind: "foreign" });
  for (const id of ["a.b", "..a", "a.."])
    expect(parse(`Patient/${id}`)).toEqual({ kind: "local", type: "Patient", id });
  expect([".", "..", "...", "a.", ".a"].map(isId)).toEqual([false, false, false, true, true]);
});
