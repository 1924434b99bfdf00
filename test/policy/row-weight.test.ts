import { describe, test } from "vitest";
import { utf8 } from "#kernel/encoded";
import { instant } from "#kernel/clock";
import { isObject, readJson, type Json, type JsonObject } from "#fhir/json/json";
import { isResourceType } from "#fhir/r4/elements";
import { parseScopes } from "#identity/scopes";
import { compilePolicy } from "#policy/compile";
import { ConsentBook } from "#policy/consent/consent-book";
import { individualOf } from "#policy/consent/individual";
import type { FiledConsent } from "#policy/consent/decide-by-consents";
import { readConsent } from "#policy/consent/read-consent";
import { parsePolicyDocument } from "#policy/document";
import { evaluate } from "#policy/evaluate";
import { factsFor } from "#policy/facts";
import type { PolicyDocument } from "#policy/schema";
import { consent, level, purpose, recipient, sensitivity } from "./consent/scene.ts";
import { origin, policy, rule } from "./granting.ts";

const v3 = "http://terminology.hl7.org/CodeSystem/v3-";
const r = { system: `${v3}Confidentiality`, code: "R" };
const act = (code: string) => ({ system: `${v3}ActCode`, code });
const law = (code: string) => ({ system: `${v3}ActUSPrivacyLaw`, code });
const [permit, deny] = ["permit", "deny"].map((type) => (more: object) => consent({ type, ...more })) as [
  (more: object) => JsonObject,
  (more: object) => JsonObject,
];

interface Asking {
  readonly labels?: PolicyDocument["labels"];
  readonly rules?: PolicyDocument["rules"];
  readonly consent?: PolicyDocument["consent"];
  readonly purpose?: string;
  readonly clientKind?: string;
  readonly consents?: Readonly<Record<string, readonly JsonObject[]>>;
  readonly individual?: string;
  readonly mayPermit?: boolean;
  /** The origin has Consents on file. */
  readonly hasConsents?: boolean;
  /** The labels of an element, which is meant in place of its row. */
  readonly element?: readonly Json[];
}

/** Answers whether a row leaves, once the Consents of every patient of the row are known. */
function leaves(row: object, { consents = {}, ...asking }: Asking = {}): boolean {
  const { purpose: why = "TREAT", individual, mayPermit = true, hasConsents = false } = asking;
  const document = {
    ...policy(...(asking.rules ?? [rule(["Observation", "Task", "GuidanceResponse"], "everything")])),
    purposes: [why],
    ...(asking.labels && { labels: asking.labels }),
    ...(asking.consent && { consent: asking.consent }),
  };
  const scopes = parseScopes("system/*.rs");
  if (!scopes.ok) throw new Error("a test's own mistake");
  const nobody = { references: new Set<string>(), identifiers: new Set<string>() };
  const request = {
    recipient: { ...nobody, identifiers: new Set(["urn:phylax:client|c"]) },
    holder: nobody,
    purpose: why,
    at: instant(0),
  } as const;
  const publicBase = "https://gateway.example/v1/fhir/main";
  const book = new ConsentBook({ request, individual, publicBase, hasConsents });
  const named = "resourceType" in row ? row.resourceType : "Observation";
  const type = typeof named === "string" && isResourceType(named) ? named : "Observation";
  const grant = evaluate(
    compilePolicy(document, "sha256:test"),
    { scopes: scopes.value, patient: undefined, purpose: why, clientKind: asking.clientKind, consents: book },
    { kind: "read", type, id: "o" },
  );
  if (!grant.ok) throw new Error(grant.error.reason);
  const read = readJson(utf8(JSON.stringify({ resourceType: "Observation", id: "o", ...row })));
  if (!read.ok || !isObject(read.value)) throw new Error("a test's own mistake");
  const facts = factsFor(grant.value, read.value);
  book.learn(
    [...Object.keys(consents), ...(grant.value.needsOf(facts, origin)?.patients ?? [])],
    new Map(
      Object.entries(consents).map(([patient, filed]) => [
        patient,
        filed.map((resource, index): FiledConsent => ({
          digest: `${patient} ${index}`,
          rules: readConsent(resource, origin),
          consent: "c",
          filedAt: instant(0),
          mayPermit,
        })),
      ]),
    ),
  );
  return asking.element === undefined
    ? grant.value.viewOf(facts, origin) !== undefined
    : grant.value.mayShowLabelled(facts, origin, asking.element);
}

const of = (patient: string, ...security: readonly Json[]) => ({
  subject: { reference: `Patient/${patient}` },
  ...(security.length > 0 && { meta: { security } }),
});
const leave = (labels: readonly string[], more: object = {}): PolicyDocument["labels"] => ({
  leave: [{ labels: [...labels], why: "45 CFR 164.506(c), for a test." }],
  ...more,
});

describe("labels of a row", () => {
  test("a labelled row leaves by no policy that says nothing, and by a policy that names all its labels", ({
    expect,
  }) => {
    expect(leaves(of("a"))).toBe(true);
    for (const labels of [[r], [act("HIV")], [r, act("HIV")], [law("42CFRPart2")], [act("MASK")], ["x"]])
      expect(leaves(of("a", ...labels)), JSON.stringify(labels)).toBe(false);
    expect(leaves(of("a", r, act("HIV")), { labels: leave(["HIV"]) })).toBe(true);
    expect(leaves(of("a", r, act("HIV"), act("PSY")), { labels: leave(["HIV"]) })).toBe(false);
    expect(leaves(of("a", r, act("ETHUD")), { labels: leave(["SPI"]) })).toBe(true);
    expect(leaves(of("a", r, act("HIV")), { labels: leave(["R"]) })).toBe(true);
    expect(leaves(of("a", r, act("MASK")), { labels: leave(["HIV"]) })).toBe(false);
    expect(leaves(of("a", { ...r, code: "V" }), { labels: leave(["R"]) })).toBe(false);
    expect(leaves(of("a", { code: "N" }), { labels: leave(["R"]) })).toBe(false);
    expect(leaves(of("a", { code: "N" }), { labels: leave(["V"]) })).toBe(true);
  });

  test("a code labels a row where the policy reads codes, or a Consent names labels", ({ expect }) => {
    const coded = { ...of("a"), code: { coding: [{ system: "http://loinc.org", code: "80203-3" }] } }; // HIV
    expect(leaves(coded)).toBe(true);
    expect(leaves(coded, { labels: { fromCodes: true } })).toBe(false);
    expect(leaves(of("a"), { labels: { fromCodes: true } })).toBe(true);
    expect(leaves(coded, { labels: leave(["HIV"], { fromCodes: true }) })).toBe(true);
    expect(leaves(coded, { consents: { a: [deny({ securityLabel: [sensitivity("HIV")] })] } })).toBe(false);
    expect(leaves(of("a"), { consents: { a: [deny({ securityLabel: [sensitivity("HIV")] })] } })).toBe(true);
  });

  test("a label inside the row counts for the whole row, and PROCESSINLINELABEL beside it asks for nothing more", ({
    expect,
  }) => {
    const inside = (label: object) => ({
      extension: [
        {
          url: "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
          valueCoding: label,
        },
      ],
    });
    const row = { ...of("a", act("PROCESSINLINELABEL")), valueQuantity: { value: 1, ...inside(act("HIV")) } };
    expect(leaves(row)).toBe(false);
    expect(leaves(row, { labels: leave(["PSY"]) })).toBe(false);
    expect(leaves(row, { labels: leave(["HIV"]) })).toBe(true);
    expect(leaves(row, { consents: { a: [permit({ securityLabel: [sensitivity("HIV")] })] } })).toBe(true);
    expect(leaves(of("a", act("PROCESSINLINELABEL"))), "nothing inside").toBe(false);
    expect(leaves({ ...of("a"), valueQuantity: inside({ code: "N" }) }), "no system").toBe(false);
  });

  test("labels leave for the purposes that the policy names for them", ({ expect }) => {
    const labels = { leave: [{ labels: ["R"], purposes: ["ETREAT"], why: "45 CFR 164.506(c)(2)." }] };
    expect(leaves(of("a", r), { labels, purpose: "BTG" })).toBe(true);
    expect(leaves(of("a", r), { labels, purpose: "TREAT" })).toBe(false);
  });

  test("psychotherapy notes leave by no policy, and self-pay services neither for payment nor operations", ({
    expect,
  }) => {
    for (const notes of [act("PSYTHPN"), law("HIPAAPsyNotes")])
      expect(leaves(of("a", r, notes), { labels: leave(["V", "SPI"]) })).toBe(false);
    for (const why of ["HPAYMT", "CLMATTCH", "HOPERAT", "CAREMGT"])
      expect(leaves(of("a", law("HIPAASelfPay")), { labels: leave(["V"]), purpose: why }), why).toBe(false);
    expect(leaves(of("a", law("HIPAASelfPay")), { labels: leave(["R"]) })).toBe(true);
    const consents = { a: [permit({ securityLabel: [level("V"), sensitivity("SPI")] })] };
    expect(leaves(of("a", law("HIPAASelfPay")), { consents, purpose: "HPAYMT" })).toBe(false);
  });

  test("a self-pay service leaves for payment and operations to a client whose kind is no health plan", ({
    expect,
  }) => {
    const row = of("a", law("HIPAASelfPay"));
    const asking = { labels: leave(["R"]), purpose: "HOPERAT" };
    const leavesTo = (clientKind?: string) =>
      leaves(row, clientKind === undefined ? asking : { ...asking, clientKind });
    expect(["operations", "provider", "laboratory"].map(leavesTo)).toEqual([true, true, true]);
    expect(["payer", "Provider", "exchange", "tiny", undefined].map(leavesTo)).toEqual(Array(5).fill(false));
  });

  describe("a Consent that permits and names no label", () => {
    const plain = { a: [permit({})] };
    const opens = (generalConsentOpens: string[], generalConsentExcepts?: string[]) => ({
      labels: {
        generalConsentOpens,
        ...(generalConsentExcepts && {
          generalConsentExcepts: [{ labels: generalConsentExcepts, why: "A State's law, for a test." }],
        }),
      },
      consents: plain,
    });

    test("opens what the policy says, and nothing where the policy says nothing", ({ expect }) => {
      const rows = [[r], [act("HIV")], [r, act("PSY")], [act("MASK")], [{ ...r, code: "V" }], ["x"]].map(
        (labels) => of("a", ...labels),
      );
      const opened = (asking: Asking) => rows.map((row) => leaves(row, asking));
      expect(opened({ consents: plain })).toEqual([false, false, false, false, false, false]);
      expect(opened(opens(["R"]))).toEqual([true, true, true, true, false, false]);
      expect(opened(opens(["V"]))).toEqual([true, true, true, true, true, false]);
      expect(opened(opens(["HIV"]))).toEqual([false, true, false, false, false, false]);
      expect(opened({ ...opens(["R"]), consents: {} })).toEqual([false, false, false, false, false, false]);
      expect(opened({ ...opens(["R"]), mayPermit: false })).toEqual([
        false,
        false,
        false,
        false,
        false,
        false,
      ]);
    });

    test("opens neither psychotherapy notes, nor Part 2, nor what a State's law excepts, also by a code", ({
      expect,
    }) => {
      for (const label of [act("PSYTHPN"), law("HIPAAPsyNotes"), law("42CFRPart2")])
        expect(
          leaves(of("a", r, label), {
            ...opens(["V", "SPI"]),
            labels: { ...opens(["V", "SPI"]).labels, part2: true },
          }),
        ).toBe(false);
      const coded = { ...of("a", r), code: { coding: [{ system: "http://loinc.org", code: "80203-3" }] } }; // HIV
      expect(leaves(coded, opens(["R"]))).toBe(true);
      expect(leaves(coded, opens(["R"], ["HIV"]))).toBe(false);
      for (const label of ["SUD", "ETHUD", "SPI"])
        expect(leaves(of("a", act(label)), opens(["R"], ["SUD"])), label).toBe(false);
      expect(leaves(of("a", act("BH")), opens(["R"], ["PSY"]))).toBe(false);
      expect(leaves(of("a", act("SDV")), opens(["R"], ["HIV"]))).toBe(true);
    });

    test("opens no labelled element of a row with a code that a State's law excepts", ({ expect }) => {
      const hiv = { ...of("a"), code: { coding: [{ system: "http://loinc.org", code: "80203-3" }] } };
      const element = [r];
      expect(leaves(of("a"), { ...opens(["R"], ["HIV"]), element })).toBe(true);
      expect(leaves(hiv, { ...opens(["R"]), element })).toBe(true);
      expect(leaves(hiv, { ...opens(["R"], ["HIV"]), element })).toBe(false);
      expect(leaves(hiv, { labels: leave(["R"]), element })).toBe(true);
    });

    test("yields to a denial, and to a permit that closes the world", ({ expect }) => {
      const [general] = plain.a;
      const asking = opens(["R"]);
      const withToo = (...more: JsonObject[]) => ({
        ...asking,
        consents: { a: [...(general ? [general] : []), ...more] },
      });
      expect(leaves(of("a", r), withToo(deny({ securityLabel: [level("R")] })))).toBe(false);
      expect(leaves(of("a", r), withToo(permit({ securityLabel: [level("N")] })))).toBe(false);
      expect(leaves(of("a", r), withToo())).toBe(true);
    });
  });

  test("the words for mental health are one kind in a permit too, and two kinds still need both", ({
    expect,
  }) => {
    const named = (...codes: string[]) => ({ a: [permit({ securityLabel: codes.map(sensitivity) })] });
    for (const word of ["PSY", "MH", "BH"])
      for (const label of ["PSY", "MH", "BH"])
        expect(leaves(of("a", act(label)), { consents: named(word) }), `${word} ${label}`).toBe(true);
    expect(leaves(of("a", act("PSY"), act("BH")), { consents: named("MH") })).toBe(true);
    expect(leaves(of("a", act("PSY"), act("HIV")), { consents: named("MH") })).toBe(false);
    expect(leaves(of("a", act("PSYTHPN")), { consents: named("MH", "PSY", "BH") })).toBe(false);
  });

  test("a psychotherapy note, a record of Part 2 and a self-pay service stay out in whatever spelling", ({
    expect,
  }) => {
    const spelled = (code: string) => [
      { code },
      { system: "https://hospital.example/labels", code },
      { system: `${v3}ActCode`, code: ` ${code.toLowerCase()}` },
      { system: `${v3}ObservationType`, code },
    ];
    for (const code of ["PSYTHPN", "HIPAAPsyNotes"])
      for (const label of spelled(code)) {
        const named = { a: [permit({ securityLabel: [level("V"), sensitivity("PSY")] })] };
        expect(leaves(of("a", label), { labels: leave(["V", "SPI"]) }), JSON.stringify(label)).toBe(false);
        expect(leaves(of("a", label), { consents: named }), JSON.stringify(label)).toBe(false);
        const own = { purpose: "PATRQT", individual: "a" };
        expect(leaves(of("a", label), own), JSON.stringify(label)).toBe(false);
      }
    for (const label of spelled("42CFRPart2"))
      expect(leaves(of("a", label), { labels: leave(["V", "SPI"], { part2: true }) })).toBe(false);
    for (const label of spelled("HIPAASelfPay")) {
      expect(leaves(of("a", label), { labels: leave(["V"]), purpose: "HPAYMT" })).toBe(false);
      expect(leaves(of("a", label), { labels: leave(["V"]), purpose: "ENROLLM" })).toBe(false);
    }
    for (const label of spelled("SICKVIS"))
      expect(leaves(of("a", label), { labels: leave(["V"]) })).toBe(true);
  });

  test("psychotherapy notes leave by a Consent that names them, never to the individual", ({ expect }) => {
    const notes = of("a", r, act("PSYTHPN"));
    const consents = { a: [permit({ securityLabel: [sensitivity("PSYTHPN")] })] };
    expect(leaves(notes, { consents })).toBe(true);
    expect(leaves(notes, { consents: { a: [permit({ securityLabel: [level("V")] })] } })).toBe(false);
    expect(leaves(notes, { consents, purpose: "PATRQT", individual: "a" })).toBe(false);
  });

  test("a single consent for treatment, payment and operations opens records of Part 2 for these three, and never counselling notes nor legal proceedings", ({
    expect,
  }) => {
    const tpo = {
      purpose: ["TREAT", "HPAYMT", "HOPERAT"].map(purpose),
      securityLabel: [level("V"), sensitivity("SUD")],
    };
    const asking = { consents: { a: [permit(tpo)] }, labels: { part2: true } };
    const record = of("a", r, law("42CFRPart2"));
    for (const why of ["TREAT", "HPAYMT", "HOPERAT"])
      expect(leaves(record, { ...asking, purpose: why }), why).toBe(true);
    for (const why of ["HLEGAL", "PUBHLTH", "HRESCH", "HMARKT"])
      expect(leaves(record, { ...asking, purpose: why }), why).toBe(false);
    // below operations and payment in v3-ActReason, and none of them in 45 CFR 164.501
    const apart = ["DONAT", "GOV", "HDECD", "HDIRECT", "MILCDM", "MILDCRG", "MLTRAINING"];
    const period = { start: "1969-01-01", end: "2100-01-01" };
    for (const why of apart) {
      expect(leaves(record, { ...asking, purpose: why }), why).toBe(false);
      const named = { ...tpo, purpose: [purpose(why)] };
      const unnamed = { ...asking, purpose: why, consents: { a: [permit(named)] } };
      expect(leaves(record, unnamed), `${why}: no recipient and no end`).toBe(false);
      const actor = [recipient({ identifier: { system: "urn:phylax:client", value: "c" } })];
      const whole = { a: [permit({ ...named, actor, period })] };
      expect(leaves(record, { ...asking, purpose: why, consents: whole }), why).toBe(true);
    }
    for (const why of ["HQUALIMP", "FRAUD", "COVERAGE", "ETREAT"])
      expect(leaves(record, { ...asking, purpose: why }), why).toBe(true);
    const counselling = of("a", r, law("42CFRPart2"), act("PSYTHPN"));
    expect(leaves(counselling, asking)).toBe(false);
    const own = { a: [permit({ ...tpo, securityLabel: ["SUD", "PSYTHPN"].map(sensitivity) })] };
    expect(leaves(counselling, { ...asking, consents: own })).toBe(true);
  });

  test("the labels that a document states of itself count like the labels in its meta", ({ expect }) => {
    const concept = (...coding: readonly Json[]) => ({ coding });
    const rules = [rule(["Observation", "DocumentReference", "Composition"], "everything")];
    const document = (securityLabel: Json, labels?: PolicyDocument["labels"]) =>
      leaves(
        { resourceType: "DocumentReference", ...of("a"), securityLabel },
        { rules, ...(labels && { labels }) },
      );
    expect(document([concept({ ...r, code: "N" })])).toBe(true);
    expect(document([concept(r)])).toBe(false);
    expect(document([concept({ ...r, code: "N" }), concept(act("HIV"))])).toBe(false);
    expect(document([concept(act("HIV"))], leave(["HIV"]))).toBe(true);
    expect(document([concept(law("42CFRPart2"))], leave(["V"], { part2: true }))).toBe(false);
    for (const strange of [concept(r), [{ text: "secret" }], [concept()], "R"] satisfies Json[])
      expect(document(strange), JSON.stringify(strange)).toBe(false);
    const composition = (more: object) =>
      leaves({ resourceType: "Composition", ...of("a"), ...more }, { rules });
    expect(composition({})).toBe(true);
    expect(composition({ confidentiality: "N" })).toBe(true);
    for (const confidentiality of ["R", "V", "n", 1])
      expect(composition({ confidentiality }), `${confidentiality}`).toBe(false);
    expect(composition({ _confidentiality: { id: "x" } })).toBe(false);
  });

  test("a record of 42 CFR Part 2 leaves only under a policy with part2, by a Consent that names it", ({
    expect,
  }) => {
    const row = of("a", r, law("42CFRPart2"));
    const consents = { a: [permit({ purpose: [purpose("TREAT")], securityLabel: [sensitivity("SUD")] })] };
    expect(leaves(row, { consents })).toBe(false);
    expect(leaves(row, { consents, labels: { part2: true } })).toBe(true);
    expect(leaves(row, { labels: leave(["V", "SPI"], { part2: true }) })).toBe(false);
    const byLevel = { a: [permit({ securityLabel: [level("V")] })] };
    expect(leaves(row, { consents: byLevel, labels: { part2: true } })).toBe(false);
    const forAll = { a: [permit({ securityLabel: [sensitivity("SUD")] })] };
    expect(leaves(row, { consents: forAll, labels: { part2: true }, purpose: "HLEGAL" })).toBe(false);
    const own = leave(["V", "42CFRPart2"], { part2: true });
    expect(leaves(row, { labels: own, purpose: "PATRQT" })).toBe(true);
  });

  test("a Consent lets a labelled row leave only if its permit names the labels", ({ expect }) => {
    const row = of("a", r, act("HIV"));
    expect(leaves(row, { consents: { a: [permit({})] } })).toBe(false);
    expect(leaves(row, { consents: { a: [permit({ securityLabel: [sensitivity("HIV")] })] } })).toBe(true);
    expect(leaves(row, { consents: { a: [permit({ securityLabel: [level("R")] })] } })).toBe(true);
    expect(leaves(row, { consents: { a: [permit({ securityLabel: [sensitivity("PSY")] })] } })).toBe(false);
    const both = { a: [permit({ securityLabel: [sensitivity("HIV")] }), permit({})] };
    expect(leaves(row, { consents: both })).toBe(true);
    const written = { a: [permit({ securityLabel: [sensitivity("HIV")] })] };
    expect(leaves(row, { consents: written, mayPermit: false }), "a client's own Consent").toBe(false);
    const strange = of("a", r, { system: `${v3}ActCode`, code: "SICKVIS" });
    expect(leaves(strange, { consents: { a: [permit({ securityLabel: [level("R")] })] } })).toBe(false);
    expect(leaves(strange, { consents: { a: [permit({ securityLabel: [sensitivity("SICKVIS")] })] } })).toBe(
      true,
    );
  });
});

describe("the Consents of every patient of a row", () => {
  test("a denial withholds under each base, and silence is the base's word", ({ expect }) => {
    const required = { base: "required" } as const;
    expect(leaves(of("a"), { consents: { a: [deny({})] } })).toBe(false);
    expect(leaves(of("a"), { consents: { b: [deny({})] } })).toBe(true);
    expect(leaves(of("a"), { consent: required })).toBe(false);
    expect(leaves(of("a"), { consent: required, consents: { a: [permit({})] } })).toBe(true);
    expect(
      leaves(of("a"), { consent: required, consents: { a: [permit({ purpose: [purpose("HRESCH")] })] } }),
    ).toBe(false);
    expect(leaves(of("a"), { purpose: "HRESCH" }), "research needs a permission").toBe(false);
    expect(leaves(of("a"), { purpose: "CLINTRCH", consents: { a: [permit({})] } })).toBe(true);
  });

  test("a rule may require what the policy does not", ({ expect }) => {
    const rules = [rule(["Observation"], "everything", { consent: { base: "required" } })];
    expect(leaves(of("a"), { rules })).toBe(false);
    expect(leaves(of("a"), { rules, consents: { a: [permit({})] } })).toBe(true);
  });

  test("each patient of a row is asked, also the patient of a contained resource", ({ expect }) => {
    const contained = {
      ...of("a"),
      contained: [{ resourceType: "Observation", id: "c", subject: { reference: "Patient/b" } }],
    };
    expect(leaves(contained, { consents: { b: [deny({})] } })).toBe(false);
    expect(
      leaves({ ...of("a"), performer: [{ reference: "Patient/b" }] }, { consents: { b: [deny({})] } }),
    ).toBe(false);
  });

  test("no Consent limits the individual's own access, and each further person is limited", ({ expect }) => {
    const consents = { a: [deny({})] };
    expect(
      leaves(of("a"), { purpose: "PATRQT", individual: "a", consents, consent: { base: "required" } }),
    ).toBe(true);
    expect(leaves(of("b"), { purpose: "PATRQT", individual: "a", consents: { b: [deny({})] } })).toBe(false);
    const byAnother = { ...of("a"), performer: [{ reference: "Patient/b" }] };
    const ofPerformer = { b: [deny({})] };
    expect(leaves(byAnother, { purpose: "PATRQT", individual: "a", consents: ofPerformer })).toBe(true);
    expect(leaves(byAnother, { purpose: "PATRQT", consents: ofPerformer }), "not the individual").toBe(false);
  });

  test("the individual is the patient who signed in, by a `fhirUser` of this origin or by the registry's word", ({
    expect,
  }) => {
    const bases = ["https://gateway.example/v1/fhir/main", "https://origin.example/fhir"] as const;
    const named = (user: string | undefined, more: object = {}) =>
      individualOf({ purpose: "PATRQT", patient: "a", user, ...more }, bases);
    for (const user of ["Patient/a", `${bases[0]}/Patient/a`, `${bases[1]}/Patient/a`])
      expect(named(user), user).toBe("a");
    for (const user of [
      "https://other.example/fhir/Patient/a",
      "RelatedPerson/a",
      "Practitioner/a",
      "Patient/b",
      "x/Patient/a",
      "#Patient/a",
      "",
    ])
      expect(named(user, { patientIsUser: true }), user).toBeUndefined();
    expect(named(undefined), "no word of the registry").toBeUndefined();
    expect(named(undefined, { patientIsUser: true })).toBe("a");
    expect(named("Patient/a", { purpose: "TREAT" })).toBeUndefined();
    expect(named(undefined, { purpose: "TREAT", patientIsUser: true })).toBeUndefined();
    expect(named("Patient/a", { patient: undefined })).toBeUndefined();
  });
});

test("the individual's own rows leave with their labels, but psychotherapy notes", ({ expect }) => {
  const asking = { purpose: "PATRQT", individual: "a" };
  for (const labels of [[r], [{ ...r, code: "V" }], [act("HIV")], [law("42CFRPart2")], [law("HIPAASelfPay")]])
    for (const own of [
      of("a", ...labels),
      { ...of("a", ...labels), performer: [{ reference: "Patient/b" }] },
    ]) {
      expect(leaves(own, asking), JSON.stringify(own)).toBe(true);
      expect(leaves(own, { purpose: "PATRQT" }), "a representative").toBe(false);
      expect(leaves({ ...own, subject: { reference: "Patient/b" } }, asking), "another's row").toBe(false);
    }
  for (const label of [act("PSYTHPN"), law("HIPAAPsyNotes"), "a label that cannot be read"])
    expect(leaves(of("a", r, label), asking), JSON.stringify(label)).toBe(false);
});

test("a row of a patient whom no reference identifies stays out where a Consent may deny, and where the policy requires one", ({
  expect,
}) => {
  const byIdentifier = { subject: { type: "Patient", identifier: { system: "urn:mrn", value: "7" } } };
  const besides = { ...of("a"), performer: [{ type: "Patient", identifier: { value: "7" } }] };
  const consents = { a: [permit({})] };
  for (const row of [
    byIdentifier,
    besides,
    { subject: { display: "Ann" } },
    { subject: { reference: "Group/1" } },
    // a type outside R4's patient compartment that is about a patient
    ...[
      { for: { display: "Ann" } },
      { for: { identifier: { system: "urn:mrn", value: "7" } } },
      { for: { reference: "Encounter/1" } },
      { encounter: { reference: "Encounter/1" } },
    ].map((more) => Object.assign({ resourceType: "Task" }, more)),
    { resourceType: "GuidanceResponse", encounter: { reference: "Encounter/1" } },
  ]) {
    expect(leaves(row), "no Consent anywhere, and none required").toBe(true);
    expect(leaves(row, { hasConsents: true, consents }), JSON.stringify(row)).toBe(false);
    expect(leaves(row, { consent: { base: "required" }, consents }), JSON.stringify(row)).toBe(false);
  }
  // the Consent of one patient opens no label of a row that concerns a second
  const opened = { a: [permit({ securityLabel: [level("R"), sensitivity("PSY")] })] };
  const labelled = { meta: { security: [r, act("PSY")] } };
  expect(leaves({ ...of("a"), ...labelled }, { consents: opened })).toBe(true);
  expect(leaves({ ...besides, ...labelled }, { consents: opened })).toBe(false);
  // the individual's own row, whoever took part in it; a row that names no patient is judged by the base
  expect(leaves(besides, { hasConsents: true, purpose: "PATRQT", individual: "a" })).toBe(true);
  expect(leaves({}, { hasConsents: true })).toBe(true);
  expect(leaves(of("a"), { hasConsents: true })).toBe(true);
  for (const more of [
    {},
    { for: { reference: "Organization/1" } },
    { for: { reference: "Patient/a" }, encounter: { reference: "Encounter/1" } },
    { focus: { reference: "Questionnaire/1" } },
  ])
    expect(leaves({ resourceType: "Task", ...more }, { hasConsents: true }), JSON.stringify(more)).toBe(true);
});

test("publishing refuses a label that no purpose alone may let leave", ({ expect }) => {
  const problem = (labels: object, purposes = ["TREAT"]) => {
    const read = parsePolicyDocument({ ...policy(rule(["Observation"], "everything")), purposes, labels });
    return read.ok ? undefined : read.error.pointer;
  };
  const at = "/labels/leave/0/labels/0";
  expect(problem({ ...leave(["R"]) })).toBeUndefined();
  expect(problem({ ...leave(["PSYTHPN"]) })).toBe(at);
  expect(problem({ ...leave(["SICKVIS"]) })).toBe(at);
  expect(problem({ ...leave(["HIPAASelfPay"]) })).toBe(at);
  expect(problem({ ...leave(["42CFRPart2"], { part2: true }) })).toBe(at);
  expect(problem({ ...leave(["42CFRPart2"]) }, ["PATRQT"])).toBe(at);
  expect(problem({ ...leave(["42CFRPart2"], { part2: true }) }, ["PATRQT"])).toBeUndefined();
  expect(problem({ ...leave(["R", "R"]) })).toBe("/labels/leave/0/labels/1");
  expect(problem({ leave: [{ labels: ["R"], purposes: ["HPAYMT"], why: "45 CFR 164.506(c)(3)." }] })).toBe(
    "/labels/leave/0/purposes/0",
  );
});
