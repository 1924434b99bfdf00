import type { Resource } from "@medplum/fhirtypes";
import { describe, test } from "vitest";
import { lane } from "../support/lane.ts";
import { starterPolicy } from "../support/outside.ts";
import { beyond, type Asking, type Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";

// What a form removes changes nothing that its reader, the origin or the public ledger sees. Both worlds draw the same
// codes, so their answers are the same to the byte.

const patient = (id: string, more: object = {}): Resource => ({
  resourceType: "Patient",
  id,
  gender: "female",
  birthDate: "1984-03-02",
  address: [{ state: "MA", postalCode: "02115" }],
  ...more,
});
const result = (id: string, of: string, more: object = {}): Resource => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { coding: [{ system: "http://loinc.org", code: "4548-4" }] },
  subject: { reference: `Patient/${of}` },
  effectiveDateTime: "2020-05-06",
  ...more,
});
/** The policy's view shows this extension, but no form does: the row is withheld whole. */
const unread = { modifierExtension: [{ url: "urn:unread", valueBoolean: true }] };
const hiddenLabel = {
  meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "V" }] },
};
const race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";
const withheldNumber = { records: /\/event\/withheld\/resources$/u };

describe.skipIf(lane === "fast")("a form of 45 CFR 164.514 in two worlds", () => {
  const { body } = starterPolicy("hresch-safe-harbor");
  const rules = body.rules.map((rule: object) => ({ ...rule, extensions: ["urn:unread", race] }));
  const worlds = worldsUnder({ ...body, rules, purposes: ["PATRQT"] });
  const asked = async (): Promise<readonly Asking[]> => {
    const by = await worlds.by("system");
    const first = (seen: Seen | undefined): string =>
      (JSON.parse(seen?.body.toString() ?? "{}") as { entry: { resource: { id: string } }[] }).entry[0]
        ?.resource.id ?? "";
    return [
      { by, path: "Patient" },
      { by, path: "Observation" },
      { by, path: "Observation?_count=100" },
      { by, path: "Observation?status=final&_include=Observation:subject" },
      { by, path: `Observation?code=${encodeURIComponent("http://loinc.org|4548-4")}` },
      { by, path: "Patient?_has:Observation:patient:status=final&_revinclude=Observation:patient" },
      (before) => ({ by, path: `Patient/${first(before[0])}` }),
      (before) => ({ by, path: `Observation/${first(before[1])}` }),
      (before) => ({ by, path: `Observation?patient=${first(before[0])}` }),
      (before) => ({ by, path: `Patient/${first(before[0])}/$everything` }),
      { by, path: "Patient/ann" },
      { by, path: "Patient?family=Okafor" },
    ];
  };
  /** The first request also records the configuration, under a random id. */
  const settled = async () =>
    worlds.compare({ origin: [] }, { origin: [] }, [{ by: await worlds.by("system"), path: "Patient" }]);
  const rows = [patient("ann"), patient("bob"), ...[1, 2, 3].map((n) => result(`o${n}`, "ann"))];

  test("rows that differ in what the form removes are the same rows", async ({ expect }) => {
    await settled();
    const rich = [
      patient("ann", {
        name: [{ family: "Okafor" }],
        telecom: [{ value: "555" }],
        birthDate: "1984-11-30",
      }),
      patient("bob", {
        address: [{ line: ["1 Road"], city: "Town", state: "MA", postalCode: "02119" }],
      }),
      ...[1, 2, 3].map((n) =>
        result(`o${n}`, "ann", {
          effectiveDateTime: "2020-12-31T01:02:03Z",
          note: [{ text: "a".repeat(900) }],
        }),
      ),
    ];
    const { one, differences } = await worlds.compare({ origin: rows }, { origin: rich }, await asked());
    expect(one.map(({ status }) => status)).toEqual([
      200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 404, 403,
    ]);
    expect(differences).toEqual([]);
  });

  test("rows that differ in what the form removes are the same rows when one world has a mebibyte of it", async ({
    expect,
  }) => {
    const long = [
      ...rows.slice(0, 2),
      ...[1, 2, 3].map((n) => result(`o${n}`, "ann", { note: [{ text: "a".repeat(700_000) }] })),
    ];
    const { differences } = await worlds.compare({ origin: rows }, { origin: long }, await asked());
    expect(differences).toEqual([]);
  });

  test("rows of more than an answer may have are answered, and end a page at the same row, if the form removes enough", async ({
    expect,
  }) => {
    const many = (more: object) => [
      ...rows.slice(0, 2),
      ...Array.from({ length: 120 }, (_, at) => result(`o${at}`, "ann", more)),
    ];
    const text = "a".repeat(80_000); // 100 rows are 8 MB with one text, and an answer may have 4 MiB
    const coding = { system: "http://loinc.org", code: "4548-4" };
    const long = [
      { note: [{ text }] },
      { code: { coding: [{ ...coding, display: text }], text } },
      { text: { status: "generated", div: `<div>${text}</div>` } },
      { extension: [{ url: "urn:long", valueString: text }] },
      { extension: [{ url: race, extension: [{ url: "text", valueString: text }] }] },
      { subject: { reference: "Patient/ann", display: text, type: "Patient" } },
      { meta: { source: `urn:${text}`, tag: [{ display: text }] } },
      { component: [{ code: { coding: [coding] }, valueString: text }] },
    ];
    for (const more of long) {
      const short = more.component === undefined ? {} : { component: [{ code: { coding: [coding] } }] };
      const { one, differences } = await worlds.compare(
        { origin: many(short) },
        { origin: many(more) },
        await asked(),
      );
      expect(one.map(({ status }) => status).slice(0, 4)).toEqual([200, 200, 200, 200]);
      expect(differences).toEqual([]);
    }
  });

  test.for([
    ["labelled", hiddenLabel],
    ["unreadable", unread],
    ["unreadable inside", { component: [{ ...unread, code: { coding: [{ code: "a" }] } }] }],
    ["ruled by others", { implicitRules: "urn:rules" }],
  ] as const)("a hidden row and no row are alike: %s", async ([, hidden], { expect }) => {
    const more = [1, 2, 3, 4, 5, 6].map((n) => result(`hidden-${n}`, "bob", hidden));
    const { differences } = await worlds.compare(
      { origin: [...rows, ...more] },
      { origin: rows },
      await asked(),
    );
    expect(beyond(differences, withheldNumber)).toEqual([]);
  });

  test("hidden rows take no place on a page", async ({ expect }) => {
    const others = Array.from({ length: 120 }, (_, at) => result(`p${at}`, "ann"));
    const more = [1, 2, 3].flatMap((n) =>
      [hiddenLabel, unread].map((each, at) => result(`h-${n}-${at}`, "bob", each)),
    );
    const { one, differences } = await worlds.compare(
      { origin: [...more, ...rows, ...others] },
      { origin: [...rows, ...others] },
      await asked(),
    );
    const pageOf = (seen: Seen | undefined) =>
      JSON.parse(seen?.body.toString() ?? "{}") as { entry: object[] };
    expect(pageOf(one[1]).entry).toHaveLength(100);
    // A page with hidden rows needs more of the origin's rows.
    expect(beyond(differences, { ...withheldNumber, questions: /\/path$/u })).toEqual([]);
  });
});
