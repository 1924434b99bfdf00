import { describe, test } from "vitest";
import { judgeConsent, type ConsentRequest } from "#policy/consent/judge-consent";
import { readConsent } from "#policy/consent/read-consent";
import { rowFactsOf } from "#policy/consent/row-facts";
import {
  base,
  coding,
  consent,
  level,
  observation,
  purpose,
  recipient,
  requestOf,
  resource,
  sensitivity,
  verdict,
} from "./scene.ts";

const inPractitioner = recipient({ reference: "Practitioner/p" });
const labelled = (...security: readonly object[]) => observation({ meta: { security } });
const psy = labelled(sensitivity("PSY"), level("R"));
const optIn = { policyRule: { coding: [coding("OPTIN", "v3-ActCode")] } };
const optOut = { policyRule: { coding: [coding("OPTOUT", "v3-ActCode")] } };

describe("a Consent's frame", () => {
  test("only an active Consent counts; a rejected one is no denial", ({ expect }) => {
    for (const status of ["draft", "proposed", "rejected", "inactive", "entered-in-error"])
      expect([status, verdict(consent({ type: "deny" }, { status }))]).toEqual([status, "silent"]);
    expect(verdict(consent({ type: "deny" }))).toBe("deny");
  });

  test("an agreement about research or treatment is no privacy Consent; an unknown scope may be one", ({
    expect,
  }) => {
    const scoped = (code: string) =>
      verdict(consent({ type: "permit" }, { scope: { coding: [coding(code, "consentscope")] } }));
    expect(["research", "treatment", "adr"].map(scoped)).toEqual(["silent", "silent", "silent"]);
    expect(scoped("another")).toBe("deny");
    expect(verdict(consent({ type: "permit" }, { scope: { text: "privacy" } }))).toBe("deny");
  });

  test("a purpose covers the purposes below it, never those above; a different purpose is met with silence", ({
    expect,
  }) => {
    const treat = consent({ type: "permit", purpose: [purpose("TREAT")] });
    const breakGlass = consent({ type: "permit", purpose: [purpose("BTG")] });
    expect(["TREAT", "ETREAT", "BTG", "HPAYMT"].map((code) => verdict(treat, { purpose: code }))).toEqual([
      "permit",
      "permit",
      "permit",
      "silent",
    ]);
    expect(verdict(breakGlass)).toBe("silent");
  });

  test("a purpose of another code system is asked by no request; a purpose that is not understood denies only", ({
    expect,
  }) => {
    const project = { system: "https://project.example", code: "TREAT" };
    expect(verdict(consent({ type: "deny", purpose: [project] }))).toBe("silent");
    const alias = { system: "urn:oid:2.16.840.1.113883.5.8", code: "TREAT" };
    for (const strange of [{ code: "TREAT" }, purpose("NEW"), "TREAT", alias]) {
      expect(verdict(consent({ type: "deny", purpose: [strange] }))).toBe("deny");
      expect(verdict(consent({ type: "permit", purpose: [strange] }))).toBe("silent");
    }
  });

  test("repetitions are alternatives, different elements must all apply", ({ expect }) => {
    const both = consent({
      type: "permit",
      purpose: [purpose("HPAYMT"), purpose("TREAT")],
      actor: [inPractitioner],
    });
    expect(verdict(both)).toBe("permit");
    expect(verdict(both, { who: ["Practitioner/q"] })).toBe("silent");
  });

  test("a person is known by reference or identifier, an organization by its clients, a group by membership", ({
    expect,
  }) => {
    const npi = (value: string) => ({ identifier: { system: "http://hl7.org/fhir/sid/us-npi", value } });
    const permits = (reference: object, who: readonly string[], complete: readonly string[] = []) =>
      verdict(consent({ type: "permit", actor: [recipient(reference)] }), { who, complete });
    const denies = (reference: object, who: readonly string[], complete: readonly string[] = []) =>
      verdict(consent({ type: "deny", actor: [recipient(reference)] }), { who, complete });
    const organization = { reference: "https://origin.example/fhir/Organization/o" };
    expect(permits(organization, ["Organization/o"])).toBe("permit");
    expect(permits(npi("1"), ["http://hl7.org/fhir/sid/us-npi|1"])).toBe("permit");
    expect(denies(npi("1"), ["http://hl7.org/fhir/sid/us-npi|2"])).toBe("silent");
    expect(denies(organization, ["Organization/q"])).toBe("silent");
    // a member of an unknown organization may be the one that the patient excludes
    expect(denies(organization, ["Practitioner/p"])).toBe("deny");
    expect(denies({ reference: "Group/g" }, ["Practitioner/p"])).toBe("deny");
    expect(denies({ reference: "Group/g" }, ["Practitioner/p"], ["Group"])).toBe("silent");
    expect(permits({ reference: "Group/g" }, ["Practitioner/p"])).toBe("silent");
    // a display names an actor for people only
    expect(permits({ display: "Dr. P" }, ["Practitioner/p"])).toBe("silent");
    expect(denies({ display: "Dr. P" }, ["Practitioner/p"])).toBe("deny");
    expect(denies({ reference: "https://elsewhere.example/Organization/o" }, ["Organization/o"])).toBe(
      "deny",
    );
  });

  test("the holder of the data is no recipient: both must apply (Da Vinci HRex)", ({ expect }) => {
    const holder = {
      role: { coding: [coding("performer", "provenance-participant-type")] },
      reference: { reference: "Organization/here" },
    };
    const both = consent({ type: "permit", actor: [holder, inPractitioner] });
    expect(verdict(both)).toBe("permit");
    expect(verdict(both, { holder: ["Organization/elsewhere"] })).toBe("silent");
    expect(verdict(both, { who: ["Practitioner/q"] })).toBe("silent");
    const strange = {
      role: { coding: [coding("WIT", "v3-ParticipationType")] },
      reference: { reference: "Practitioner/p" },
    };
    expect(verdict(consent({ type: "permit", actor: [strange] }))).toBe("silent");
    expect(verdict(consent({ type: "deny", actor: [strange] }))).toBe("deny");
  });

  test("an action limits to reading or writing; one that is not understood may be either", ({ expect }) => {
    const only = (code: string) => ({ type: "deny", action: [{ coding: [coding(code, "consentaction")] }] });
    expect(
      ["access", "disclose", "use", "correct", "collect", "burn"].map((code) => verdict(consent(only(code)))),
    ).toEqual(["deny", "deny", "deny", "silent", "silent", "deny"]);
    expect(
      ["access", "disclose", "use", "correct", "collect", "burn"].map((code) =>
        verdict(consent(only(code)), { action: "write" }),
      ),
    ).toEqual(["silent", "silent", "silent", "deny", "deny", "deny"]);
  });

  test("a period ends with its last day: a permit's in UTC where it has no zone, a denial's in the last zone; a broken period may be in force", ({
    expect,
  }) => {
    const until = consent({ type: "deny", period: { end: "2022-12-31" } });
    expect(verdict(until, { at: "2022-12-31T23:59:59Z" })).toBe("deny");
    expect(verdict(until, { at: "2023-01-01T11:59:59Z" }), "31 December at UTC-12").toBe("deny");
    expect(verdict(until, { at: "2023-01-01T12:00:00Z" })).toBe("silent");
    const since = consent({ type: "deny", period: { start: "2023-01-01" } });
    expect(verdict(since, { at: "2022-12-31T09:59:59Z" })).toBe("silent");
    expect(verdict(since, { at: "2022-12-31T10:00:00Z" }), "1 January at UTC+14").toBe("deny");
    const permitted = consent({ type: "permit", period: { start: "2022-12-31", end: "2022-12-31" } });
    expect(
      ["2022-12-30T23:59:59Z", "2022-12-31T00:00:00Z", "2022-12-31T23:59:59Z", "2023-01-01T00:00:00Z"].map(
        (at) => verdict(permitted, { at }),
      ),
    ).toEqual(["silent", "permit", "permit", "silent"]);
    // A permit of some rows denies all others.
    const limited = consent({
      type: "permit",
      period: { end: "2022-12-31" },
      class: [{ system: "http://hl7.org/fhir/resource-types", code: "Condition" }],
    });
    expect(verdict(limited, { at: "2023-01-01T11:59:59Z" })).toBe("deny");
    expect(verdict(limited, { at: "2023-01-01T12:00:00Z" })).toBe("silent");
    const zoned = consent({ type: "deny", period: { end: "2022-12-31T23:59:59-05:00" } });
    expect(verdict(zoned, { at: "2023-01-01T04:59:59Z" })).toBe("deny");
    expect(verdict(zoned, { at: "2023-01-01T05:00:01Z" })).toBe("silent");
    for (const period of [
      { end: "2022-02-30" },
      {},
      "2022",
      { start: "soon" },
      { start: "2030", end: "2020" },
      // the bound exists, and is not known
      { start: "2020", _end: { extension: [{ url: "https://other.example" }] } },
      { start: "2020", modifierExtension: [] },
    ]) {
      expect(verdict(consent({ type: "deny", period }))).toBe("deny");
      expect(verdict(consent({ type: "permit", period }))).toBe("silent");
    }
    // an extension of a bound with a value leaves the bound as it is
    const more = { extension: [{ url: "https://other.example", valueString: "x" }] };
    const noted = { start: "2020", _start: more, end: "2021", _end: more };
    expect(verdict(consent({ type: "deny", period: noted }), { at: "2022-06-01T00:00:00Z" })).toBe("silent");
    expect(verdict(consent({ type: "deny", period: noted }), { at: "2021-06-01T00:00:00Z" })).toBe("deny");
  });
});

describe("a Consent's root", () => {
  test("a permit with limits permits nothing but that; a deny with limits denies nothing but that", ({
    expect,
  }) => {
    const limits = { dataPeriod: { start: "2021", end: "2021" } };
    expect(verdict(consent({ type: "permit", ...limits }))).toBe("deny");
    expect(verdict(consent({ type: "deny", ...limits }))).toBe("silent");
    expect(verdict(consent({ type: "permit", ...limits }), { purpose: "HRESCH" })).toBe("deny");
    expect(
      verdict(consent({ type: "permit", purpose: [purpose("TREAT")], ...limits }), { purpose: "HRESCH" }),
    ).toBe("silent");
  });

  test("without a type the policy rule decides, and unclear limits deny", ({ expect }) => {
    expect(verdict(consent(undefined, optIn))).toBe("permit");
    expect(verdict(consent(undefined, optOut))).toBe("deny");
    expect(verdict(consent(undefined))).toBe("deny");
    expect(verdict(consent({ purpose: [purpose("TREAT")] }, optIn))).toBe("deny");
    expect(verdict(consent({ purpose: [purpose("TREAT")] }, optIn), { purpose: "HPAYMT" })).toBe("silent");
    const excepted = { provision: [{ type: "deny", actor: [inPractitioner] }] };
    expect(verdict(consent(excepted, optIn))).toBe("deny");
    expect(verdict(consent(excepted, optIn), { who: ["Practitioner/q"] })).toBe("permit");
    const opened = { purpose: [purpose("TREAT")], provision: [{ type: "permit", actor: [inPractitioner] }] };
    expect(verdict(consent(opened, optOut))).toBe("permit");
    expect(verdict(consent(opened, optOut), { purpose: "HPAYMT" })).toBe("deny");
  });

  test("with a type the policy rule has no say (IHE PCF)", ({ expect }) => {
    expect(verdict(consent({ type: "permit" }, optOut))).toBe("permit");
    expect(verdict(consent({ type: "deny" }, optIn))).toBe("deny");
  });

  test("what may change the meaning of the whole Consent denies", ({ expect }) => {
    for (const more of [
      { modifierExtension: [{ url: "https://other.example", valueBoolean: true }] },
      { implicitRules: "https://other.example" },
      { decision: "permit" },
      { status: "not-done" },
      { status: undefined },
      { status: "" },
      { status: 7 },
      { category: ofApi("payer-to-payer", "patient-access") },
    ])
      expect(verdict(consent({ type: "permit" }, more))).toBe("deny");
    expect(verdict(consent({ type: "permit" }, { extension: [{ url: "https://other.example" }] }))).toBe(
      "permit",
    );
  });
});

test("a code of ICD-10 in another spelling may be the code of a Consent: it is denied, and not permitted", ({
  expect,
}) => {
  const icd = "http://hl7.org/fhir/sid/icd-10-cm";
  const limited = (type: string) => consent({ type, code: [{ coding: [{ system: icd, code: "Z33.2" }] }] });
  const by = (type: string, coding: object) =>
    verdict(limited(type), {}, observation({ code: { coding: [coding] } }));
  for (const coding of [
    { system: icd, code: "Z332" },
    { system: icd, code: "z33.2" },
    { system: "http://hl7.org/fhir/sid/icd-10", code: "Z33.2" },
    { system: "http://hl7.org/fhir/sid/icd-10-nl", code: "Z33.2*" },
    { code: "Z33.2" },
  ])
    expect([by("deny", coding), by("permit", coding)], JSON.stringify(coding)).toEqual(["deny", "deny"]);
  expect([by("deny", { system: icd, code: "Z33.2" }), by("permit", { system: icd, code: "Z33.2" })]).toEqual([
    "deny",
    "permit",
  ]);
  for (const coding of [
    { system: icd, code: "Z33.1" },
    { system: "http://loinc.org", code: "Z332" },
  ])
    expect(by("deny", coding), JSON.stringify(coding)).toBe("silent");
});

test("a code of ICD-10 in another spelling is denied also if the Consent or the row names no system", ({
  expect,
}) => {
  const icd = "http://hl7.org/fhir/sid/icd-10-cm";
  const denied = (named: object, coding: object) =>
    verdict(
      consent({ type: "deny", code: [{ coding: [named] }] }),
      {},
      observation({ code: { coding: [coding] } }),
    );
  const spellings = ["Z33.2", "Z332", "z33.2", "z332", "Z33.2+"];
  for (const code of spellings)
    for (const other of spellings)
      for (const [named, coding] of [
        [{ code }, { system: icd, code: other }],
        [{ system: icd, code }, { code: other }],
      ] as const)
        expect(denied(named, coding), JSON.stringify([named, coding])).toBe("deny");
  expect(denied({ code: "Z33.2" }, { system: icd, code: "Z33.1" })).toBe("silent");
  expect(denied({ code: "Z33.2" }, { system: "http://loinc.org", code: "Z332" })).toBe("silent");
  expect(denied({ system: "http://loinc.org", code: "8867-4" }, { code: "88674" })).toBe("silent");
});

test("a code that was filed under an earlier name of its system counts as before", ({ expect }) => {
  const row = observation({
    code: { coding: [{ system: "urn:oid:2.16.840.1.113883.6.285", code: "G0101" }] },
  });
  const filed = readConsent(
    consent({ type: "deny", code: [{ coding: [{ system: "urn:x", code: "y" }] }] }),
    base,
  );
  const earlier = JSON.parse(
    JSON.stringify(filed).replaceAll("urn:x|y", "2.16.840.1.113883.6.285|G0101"),
  ) as typeof filed;
  expect(judgeConsent(earlier, requestOf(), rowFactsOf(row, base)).verdict).toBe("deny");
});

const ofApi = (...codes: readonly string[]) =>
  codes.map((code) => ({
    coding: [{ system: "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/pdex-consent-api-purpose", code }],
  }));

test("a Consent about an API of a payer is silent for each further disclosure, also if it is about both", ({
  expect,
}) => {
  const apis: readonly ConsentRequest["api"][] = [undefined, "payer-to-payer", "provider-access"];
  const verdictsOf = (...codes: readonly string[]) =>
    apis.map(
      (api) =>
        judgeConsent(
          readConsent(consent({ type: "permit" }, { category: ofApi(...codes) }), base),
          { ...requestOf(), api },
          rowFactsOf(observation(), base),
        ).verdict,
    );
  expect(verdictsOf()).toEqual(["permit", "permit", "permit"]);
  expect(verdictsOf("provider-access")).toEqual(["silent", "silent", "permit"]);
  expect(verdictsOf("payer-to-payer", "provider-access")).toEqual(["silent", "permit", "permit"]);
});

describe("a Consent's exceptions", () => {
  test("an exception has the root's purposes and actors, not its limits", ({ expect }) => {
    const wider = consent({
      type: "permit",
      purpose: [purpose("TREAT")],
      securityLabel: [level("N")],
      provision: [{ type: "permit", securityLabel: [sensitivity("PSY")], actor: [inPractitioner] }],
    });
    expect(verdict(wider, {}, psy)).toBe("permit");
    expect(verdict(wider, { who: ["Practitioner/q"] }, psy)).toBe("deny");
    expect(verdict(wider, { purpose: "HPAYMT" }, psy)).toBe("silent");
  });

  test("an exception to an exception lies inside it; siblings that contradict each other deny", ({
    expect,
  }) => {
    const nested = consent({
      type: "permit",
      provision: [
        {
          type: "deny",
          securityLabel: [sensitivity("PSY")],
          provision: [{ type: "permit", actor: [inPractitioner] }],
        },
      ],
    });
    expect(verdict(nested, {}, psy)).toBe("permit");
    expect(verdict(nested, { who: ["Practitioner/q"] }, psy)).toBe("deny");
    const siblings = consent({
      type: "deny",
      provision: [
        { type: "permit", actor: [inPractitioner] },
        { type: "deny", securityLabel: [sensitivity("PSY")] },
      ],
    });
    expect(verdict(siblings, {}, psy)).toBe("deny");
    expect(verdict(siblings)).toBe("permit");
  });

  test("an exception without a type, with a strange member, or too deep may be a denial, never a permit", ({
    expect,
  }) => {
    const around = (type: string, exception: unknown) => verdict(consent({ type, provision: [exception] }));
    for (const exception of [
      {},
      { type: "refuse" },
      { type: "deny", modifierExtension: [{ url: "https://other.example" }] },
      { type: "permit", modifierExtension: [{ url: "https://other.example" }], expression: "true" },
      "deny",
    ])
      expect(around("deny", exception)).toBe("deny");
    expect(around("permit", { type: "deny", expression: "false" })).toBe("deny");
    let deep: object = { type: "permit" };
    for (let i = 0; i < 6; i++) deep = { type: i % 2 === 0 ? "deny" : "permit", provision: [deep] };
    expect(verdict(consent({ type: "permit", provision: [deep] }))).toBe("deny");
    const many = Array.from({ length: 300 }, () => ({ type: "permit" }));
    expect(verdict(consent({ type: "permit", provision: many }))).toBe("deny");
  });
});

describe("a Consent's limits", () => {
  const only = (limits: object, type = "permit") =>
    consent({ type: type === "permit" ? "deny" : "permit", provision: [{ type, ...limits }] });
  const both = (limits: object, row = observation()) => [
    verdict(only(limits), {}, row),
    verdict(only(limits, "deny"), {}, row),
  ];
  // [permits it as an exception, denies it as an exception]
  const [applies, unknown, apart] = [
    ["permit", "deny"],
    ["deny", "deny"],
    ["deny", "permit"],
  ];

  test("a period of data permits what lies inside, and denies what it touches", ({ expect }) => {
    const in2022 = { dataPeriod: { start: "2022-01-01", end: "2022-12-31" } };
    const at = (effectiveDateTime: string) => both(in2022, observation({ effectiveDateTime }));
    expect(at("2022-06")).toEqual(applies);
    expect(at("2022")).toEqual(applies);
    expect(at("2021-12-31")).toEqual(apart);
    expect(at("2023-01-01T00:30:00+14:00")).toEqual(unknown); // still 2022 in UTC
    expect(at("2021-12-31T23:50:00-05:00")).toEqual(unknown); // already 2022 in UTC
    expect(at("2021-12-31T12:00:00-05:00")).toEqual(apart);
    expect(at("yesterday")).toEqual(unknown);
    const across = {
      effectiveDateTime: undefined,
      effectivePeriod: { start: "2021-12-01", end: "2022-02-01" },
    };
    expect(both(in2022, observation(across))).toEqual(unknown);
    expect(both(in2022, observation({ effectiveDateTime: undefined }))).toEqual(unknown);
    const issued = { effectiveDateTime: undefined, issued: "2022-03-01T10:00:00Z" };
    expect(both(in2022, observation(issued))).toEqual(applies);
    const patient = { resourceType: "Patient", id: "1", birthDate: "2022-06-01" };
    expect(both(in2022, resource(patient)), "a type without a time").toEqual(apart);
    const scan = { resourceType: "Binary", id: "1", securityContext: { reference: "Patient/1" } };
    expect(both(in2022, resource(scan)), "a content of unknown time").toEqual(unknown);
  });

  test("a level permits itself and below, and denies itself and above; a sensitivity makes a row R", ({
    expect,
  }) => {
    const labels = (code: string, ...row: readonly object[]) =>
      both({ securityLabel: [level(code)] }, labelled(...row));
    expect(labels("R", level("N"))).toEqual(["permit", "permit"]);
    expect(labels("R", level("V"))).toEqual(["deny", "deny"]);
    expect(labels("R", level("R"))).toEqual(applies);
    expect(labels("N")).toEqual(applies); // no label: normal
    expect(labels("N", sensitivity("HIV"))).toEqual(["deny", "deny"]);
    expect(labels("N", sensitivity("HIV"), level("N"))).toEqual(["deny", "deny"]);
    expect(labels("R", { system: "https://origin.example/labels", code: "VIP" })).toEqual(unknown);
    // only the exact name of the system makes a label harmless
    const context = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
    expect(labels("R", { system: context, code: "HTEST" })).toEqual(["permit", "permit"]);
    expect(labels("R", { system: context.toUpperCase(), code: "HTEST" })).toEqual(unknown);
    expect(labels("V", { system: "https://origin.example/labels", code: "VIP" })).toEqual(["permit", "deny"]);
  });

  test("a sensitivity covers the codes below it; each sensitivity of a row needs a permit of its own", ({
    expect,
  }) => {
    const labels = (code: string, ...row: readonly string[]) =>
      both({ securityLabel: [sensitivity(code)] }, labelled(...row.map(sensitivity), level("R")));
    expect(labels("SUD", "ETHUD")).toEqual(applies);
    expect(labels("ETHUD", "SUD")).toEqual(unknown);
    expect(labels("ETH", "OPIOIDUD")).toEqual(unknown);
    expect(labels("PSY", "BH")).toEqual(applies); // words for mental health
    expect(labels("PSY", "HIV")).toEqual(apart);
    expect(labels("PSY", "PSY", "HIV")).toEqual(unknown);
    expect(both({ securityLabel: [sensitivity("PSY")] }, labelled(sensitivity("PSY"), level("V")))).toEqual(
      unknown,
    );
    expect(both({ securityLabel: [coding("PSY", "v3-Confidentiality")] }, psy)).toEqual(applies);
    expect(both({ securityLabel: [{ system: "https://other.example", code: "PSY" }] }, psy)).toEqual(unknown);
  });

  test("a code in the row makes it sensitive without any label, by the published value sets", ({
    expect,
  }) => {
    const coded = (system: string | undefined, code: string) =>
      both({ securityLabel: [sensitivity("SUD")] }, observation({ code: { coding: [{ system, code }] } }));
    expect(coded("http://hl7.org/fhir/sid/icd-10-cm", "F11.120")).toEqual(applies);
    expect(coded("urn:oid:2.16.840.1.113883.6.96", "5602001")).toEqual(applies);
    expect(coded(undefined, "5602001")).toEqual(applies);
    expect(coded("http://loinc.org", "2339-0")).toEqual(apart);
  });

  test("a label inside a row counts as the row's", ({ expect }) => {
    const inside = {
      note: [
        {
          text: "…",
          extension: [
            {
              url: "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label",
              valueCoding: sensitivity("HIV"),
            },
          ],
        },
      ],
    };
    expect(both({ securityLabel: [sensitivity("HIV")] }, observation(inside))).toEqual(applies);
  });

  test("a type, a code, an instance and an author select rows; a profile never permits", ({ expect }) => {
    const ofClass = (system: string, code: string) => both({ class: [{ system, code }] });
    expect(ofClass("http://hl7.org/fhir/resource-types", "Observation")).toEqual(applies);
    expect(ofClass("http://hl7.org/fhir/resource-types", "Condition")).toEqual(apart);
    expect(ofClass("urn:ietf:rfc:3986", "http://hl7.org/fhir/StructureDefinition/vitalsigns")).toEqual(
      unknown,
    );
    expect(ofClass("urn:ietf:bcp:13", "application/pdf")).toEqual(unknown);
    const ofCode = (...codings: readonly object[]) => both({ code: [{ coding: codings }] });
    expect(ofCode({ system: "http://loinc.org", code: "2339-0" })).toEqual(applies);
    expect(ofCode({ system: "urn:oid:2.16.840.1.113883.6.1", code: "2339-0" })).toEqual(applies);
    expect(ofCode({ system: "http://snomed.info/sct", code: "2339-0" })).toEqual(apart);
    expect(ofCode({ code: "2339-0" })).toEqual(unknown);
    expect(both({ code: [{ text: "glucose" }] })).toEqual(unknown);
    const data = (meaning: string, reference: string, row = observation()) =>
      both({ data: [{ meaning, reference: { reference } }] }, row);
    expect(data("instance", "Observation/o1")).toEqual(applies);
    expect(data("instance", "Observation/o2")).toEqual(apart);
    expect(data("instance", "https://elsewhere.example/Observation/o1")).toEqual(unknown);
    expect(data("authoredby", "Practitioner/author")).toEqual(applies);
    expect(data("authoredby", "Practitioner/p")).toEqual(apart);
    expect(data("authoredby", "Practitioner/p", observation({ performer: undefined }))).toEqual(unknown);
    const role = observation({ performer: [{ reference: "PractitionerRole/r" }] });
    expect(data("authoredby", "Practitioner/p", role)).toEqual(unknown);
    const encounter = resource({ resourceType: "Encounter", id: "e", subject: { reference: "Patient/1" } });
    expect(data("authoredby", "Practitioner/p", encounter)).toEqual(apart);
    expect(data("sibling", "Observation/o1")).toEqual(unknown);
  });

  test("related means what belongs to an encounter; dependents means whatever refers to a resource", ({
    expect,
  }) => {
    const data = (meaning: string, reference: string, row = observation()) =>
      both({ data: [{ meaning, reference: { reference } }] }, row);
    const inEncounter = observation({ encounter: { reference: "Encounter/e" } });
    const mentions = observation({ derivedFrom: [{ reference: "Encounter/e" }] });
    expect(data("related", "Encounter/e", inEncounter)).toEqual(applies);
    expect(data("related", "Encounter/e", mentions)).toEqual(unknown);
    expect(data("related", "Encounter/e")).toEqual(apart);
    expect(data("related", "Task/t")).toEqual(unknown);
    expect(data("dependents", "Encounter/e", mentions)).toEqual(applies);
    expect(data("dependents", "Encounter/e")).toEqual(apart);
  });
});
