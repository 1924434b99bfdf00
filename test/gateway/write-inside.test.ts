import { describe, test } from "vitest";
import type { JsonObject } from "#fhir/json/json";
import { r4Concerned, r4Involved } from "#fhir/r4/compartment-tables";
import { policy, rule } from "../policy/granting.ts";
import { namedBy, outcomeOf, plan, planPatch, to } from "./planning.ts";

const writing = { interactions: ["read", "search", "create", "update"] as const };
const all = { interactions: [...writing.interactions] };
const category = (code: string) => [{ coding: [{ system: "urn:c", code }] }];
const rows = (code: string) => [{ path: "category", in: [`urn:c|${code}`] }];
const observation = (more: object = {}) => ({
  resourceType: "Observation",
  status: "final",
  code: { text: "a" },
  ...more,
});

/** Ways to put a resource inside a report, and their depths. */
const wrapped = {
  "contained in a report": (inside: object) => ({
    resourceType: "DiagnosticReport",
    id: "r",
    meta: { versionId: "1" },
    status: "final",
    code: { text: "r" },
    subject: to("Patient/amara"),
    result: [to("#o")],
    contained: [{ ...inside, id: "o" }],
  }),
} as const;

/** The visible part of a contained observation by its category: labs without their note. */
const uneven = policy(
  rule(["DiagnosticReport", "Bundle", "Parameters"], "everything", all),
  rule(["Observation"], ["status", "category", "code", "subject", "performer"], {
    ...all,
    where: rows("lab"),
  }),
  rule(["Observation"], "everything", { ...all, where: rows("vital") }),
  rule(["Observation"], ["status", "category", "code"], { interactions: ["read"], where: rows("read only") }),
  rule(["Patient"], "everything", all),
);

describe("what is contained is written by the rules of its own type", () => {
  const report = wrapped["contained in a report"];
  const stored = report(
    observation({ category: category("lab"), note: [{ text: "hidden" }], subject: to("Patient/amara") }),
  );
  const become = (more: object) =>
    plan(
      uneven,
      "system/*.cruds",
      stored,
      report(observation({ category: category("lab"), subject: to("Patient/amara"), ...more })),
    ).then(outcomeOf);

  test("its visible elements may change", async ({ expect }) => {
    expect(await become({ status: "amended" })).toBe("send");
  });

  test("it becomes no row of which more is shown", async ({ expect }) => {
    expect(await become({ category: category("vital") })).toBe("result_widens_access");
    expect(await become({ category: [...category("lab"), ...category("vital")] })).toBe(
      "result_widens_access",
    );
  });

  test("it becomes no row that may not be written", async ({ expect }) => {
    expect(await become({ category: category("read only") })).toBe("result_outside_access");
    expect(await become({ category: category("unknown") })).toBe("result_outside_access");
  });

  test("it is not moved to another patient, nor taken away from its own", async ({ expect }) => {
    expect(await become({ subject: to("Patient/bela") })).toBe("result_changes_patient");
    expect(await become({ subject: undefined })).toBe("result_changes_patient");
  });

  test("it moves to another patient by no participant, if it has no owner", async ({ expect }) => {
    const taken = (performer: string) =>
      report(observation({ category: category("lab"), performer: [to(performer)] }));
    const change = (performer: string) =>
      plan(uneven, "system/*.cruds", taken("Patient/amara"), taken(performer)).then(outcomeOf);
    expect(await change("Patient/amara")).toBe("send");
    expect(await change("Patient/bela")).toBe("result_changes_patient");
  });

  test("a contained patient stays the same person", async ({ expect }) => {
    const of = (patient: object) => ({
      ...report(observation()),
      subject: to("#p"),
      result: undefined,
      contained: [{ resourceType: "Patient", id: "p", ...patient }],
    });
    const known = { identifier: [{ system: "urn:mrn", value: "1" }], name: [{ family: "A" }] };
    const change = (patient: object) =>
      plan(uneven, "system/*.cruds", of(known), of(patient)).then(outcomeOf);
    expect(await change({ ...known, name: [{ family: "B" }] })).toBe("send");
    expect(await change({ ...known, identifier: [{ system: "urn:mrn", value: "2" }] })).toBe(
      "result_changes_patient",
    );
  });

  test("a patch is held to the same rules as an update", async ({ expect }) => {
    const patch = (path: string, value: unknown) =>
      planPatch(uneven, "system/*.cruds", stored, [{ op: "replace", path, value }]).then(outcomeOf);
    expect(await patch("/contained/0/status", "amended")).toBe("send");
    expect(await patch("/contained/0/category", category("vital"))).toBe("result_widens_access");
    expect(await patch("/contained/0/subject/reference", "Patient/bela")).toBe("result_changes_patient");
  });

  test("a scope by category is a limit as well: the row stays in its category", async ({ expect }) => {
    const scope =
      "system/DiagnosticReport.cruds system/Observation.cruds?category=urn:c|lab system/Observation.r";
    const change = plan(
      uneven,
      scope,
      stored,
      report(observation({ category: category("vital"), subject: to("Patient/amara") })),
    );
    expect(outcomeOf(await change)).toBe("result_outside_access");
  });

  test("the record names the patients of the row before and after, hidden elements included", async ({
    expect,
  }) => {
    const before = report(
      observation({
        category: category("lab"),
        subject: to("Patient/bela"),
        note: [{ authorReference: to("Patient/cleo") }],
      }),
    );
    const body = report(
      observation({ category: category("lab"), subject: to("Patient/bela"), status: "amended" }),
    );
    expect(namedBy(await plan(uneven, "system/*.cruds", before, body))).toEqual({
      patients: ["amara", "bela"],
      unnamed: false,
    });
    const hidden = {
      ...before,
      contained: [...before.contained, { ...observation({ subject: to("Patient/dara") }), id: "h" }],
    };
    expect(namedBy(await plan(uneven, "system/*.cruds", hidden, body))).toEqual({
      patients: ["amara", "bela", "dara"],
      unnamed: false,
    });
  });

  test("a new resource names the patients whom it is about, and the patients whom it mentions", async ({
    expect,
  }) => {
    const body = report(
      observation({ category: category("vital"), subject: to("Patient/bela"), focus: [to("Patient/cleo")] }),
    );
    expect(namedBy(await plan(uneven, "system/*.cruds", undefined, body))).toEqual({
      patients: ["amara", "bela", "cleo"],
      unnamed: false,
    });
    const anonymous = {
      ...report(observation()),
      result: undefined,
      subject: to("#p"),
      contained: [{ resourceType: "Patient", id: "p" }],
    };
    expect(namedBy(await plan(uneven, "system/*.cruds", undefined, anonymous))).toEqual({
      patients: [],
      unnamed: true,
    });
  });
});

describe("resources in a Bundle or in Parameters, at any depth", () => {
  const report = wrapped["contained in a report"];
  const holders: Record<string, (inside: object[]) => object> = {
    Bundle: (inside) => ({
      resourceType: "Bundle",
      type: "collection",
      entry: inside.map((resource) => ({ resource })),
    }),
    Parameters: (inside) => ({
      resourceType: "Parameters",
      parameter: inside.map((resource) => ({ name: "n", resource })),
    }),
    "parts of Parameters": (inside) => ({
      resourceType: "Parameters",
      parameter: [{ name: "p", part: inside.map((resource) => ({ name: "n", resource })) }],
    }),
    "a Bundle in a Bundle": (inside) => ({
      resourceType: "Bundle",
      type: "collection",
      entry: [
        {
          resource: {
            resourceType: "Bundle",
            type: "collection",
            entry: inside.map((resource) => ({ resource })),
          },
        },
      ],
    }),
    "a Bundle contained in a report": (inside) => ({
      ...report(observation({ category: category("vital") })),
      contained: [
        { ...observation({ category: category("vital") }), id: "o" },
        {
          resourceType: "Bundle",
          id: "b",
          type: "collection",
          entry: inside.map((resource) => ({ resource })),
        },
      ],
      extension: [{ url: "urn:b", valueReference: to("#b") }],
    }),
  };
  const stored = { id: "x", meta: { versionId: "1" } };

  test.for(Object.keys(holders))(
    "%s: the record names each patient whom one of them is about",
    async (name, { expect }) => {
      const hold = holders[name] ?? (() => ({}));
      const inside = [
        observation({ category: category("vital"), subject: to("Patient/bela") }),
        { resourceType: "Patient", id: "cleo" },
        {
          ...report(observation({ category: category("vital"), subject: to("Patient/dara") })),
          id: undefined,
          meta: undefined,
        },
      ];
      const { patients } = namedBy(await plan(uneven, "system/*.cruds", undefined, hold(inside)));
      expect(patients).toEqual(expect.arrayContaining(["amara", "bela", "cleo", "dara"]));
      const before = { ...(hold(inside) as { readonly resourceType: string }), ...stored };
      const patched = await planPatch(uneven, "system/*.cruds", before, [
        { op: "add", path: "/language", value: "en" },
      ]);
      expect(outcomeOf(patched)).toBe("send");
      expect(namedBy(patched).patients).toEqual(expect.arrayContaining(["amara", "bela", "cleo", "dara"]));
    },
  );

  test.for(Object.keys(holders))("%s: none is created that may not be written", async (name, { expect }) => {
    const hold = holders[name] ?? (() => ({}));
    const create = async (inside: object) =>
      outcomeOf(await plan(uneven, "system/*.cruds", undefined, hold([inside])));
    expect(await create(observation({ category: category("vital"), subject: to("Patient/bela") }))).toBe(
      "send",
    );
    expect(await create(observation({ category: category("read only") }))).toBe("body_invalid");
    const labelled = {
      meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "R" }] },
    };
    expect(await create(observation({ category: category("vital"), ...labelled }))).toBe("body_invalid");
  });

  test("a stored resource stays as it is, and a resource in a new entry is judged as it will be stored", async ({
    expect,
  }) => {
    const bundle = (...entry: object[]) => ({ resourceType: "Bundle", ...stored, type: "collection", entry });
    const one = { resource: observation({ category: category("vital"), subject: to("Patient/bela") }) };
    const other = { resource: observation({ category: category("lab"), subject: to("Patient/cleo") }) };
    const added = await plan(uneven, "system/*.cruds", bundle(one), bundle(one, other));
    expect([outcomeOf(added), namedBy(added).patients]).toEqual(["send", ["bela", "cleo"]]);
    const moved = { resource: { ...one.resource, subject: to("Patient/cleo") } };
    const patched = planPatch(uneven, "system/*.cruds", bundle(one), [
      { op: "replace", path: "/entry/0/resource/subject/reference", value: "Patient/cleo" },
    ]);
    expect(outcomeOf(await patched)).toBe("body_invalid");
    expect(
      outcomeOf(
        await plan(uneven, "system/*.cruds", bundle(one), bundle({ ...moved, fullUrl: "urn:uuid:1" })),
      ),
    ).toBe("body_invalid");
  });
});

describe("no row is moved to another patient, whatever its type", () => {
  /** A resource of the type with a reference at the path. */
  const at = (path: string, reference: object): object => {
    const [first = "", ...below] = path.split(".");
    return { [first]: below.length === 0 ? reference : at(below.join("."), reference) };
  };
  const open = policy(
    rule([...new Set([...Object.keys(r4Concerned), ...Object.keys(r4Involved)])] as never, "everything", all),
    rule(["Observation", "Group", "RequestGroup"], "everything", all),
  );
  const required: Record<string, object> = {
    Task: { status: "ready", intent: "order" },
    GuidanceResponse: { status: "success", moduleUri: "urn:m" },
    Linkage: {},
    VerificationResult: { status: "attested" },
  };
  // Only paths beside which R4 demands no further element.
  const cases = [
    ["Task", "for", {}],
    ["Device", "patient", {}],
    ["GuidanceResponse", "subject", {}],
    ["Task", "owner", {}],
    ["Task", "requester", {}],
    ["Task", "focus", {}],
    ["VerificationResult", "target", { list: true }],
    ["Contract", "subject", { list: true }],
    ["BiologicallyDerivedProduct", "collection.source", {}],
  ] as const;

  test.for(cases)("%s.%s", async ([type, path, options], { expect }) => {
    const isList = "list" in options;
    const of = (reference: object | undefined) => ({
      resourceType: type,
      id: "t",
      meta: { versionId: "1" },
      ...required[type],
      ...(reference === undefined ? {} : at(path, isList ? [reference] : reference)),
    });
    const change = async (next: object | undefined) =>
      outcomeOf(await plan(open, "system/*.cruds", of(to("Patient/amara")), of(next)));
    expect(await change(to("Patient/amara"))).toBe("send");
    expect(await change(to("Patient/bela"))).toBe("result_changes_patient");
    expect(await change(undefined)).toBe("result_changes_patient");
    expect(outcomeOf(await plan(open, "system/*.cruds", of(undefined), of(to("Patient/bela"))))).toBe(
      "result_changes_patient",
    );
  });

  test("a participant changes the element that names the owner", async ({ expect }) => {
    const task = (owner: string) => ({
      resourceType: "Task",
      id: "t",
      meta: { versionId: "1" },
      ...required["Task"],
      for: to("Patient/amara"),
      owner: to(owner),
    });
    expect(outcomeOf(await plan(open, "system/*.cruds", task("Patient/amara"), task("Patient/bela")))).toBe(
      "send",
    );
  });

  test("naming the same owner again does not find out the owner of a row", async ({ expect }) => {
    const hidden = policy(
      rule(["RequestGroup"], ["status", "intent", "action[code=urn:a|shown]", "action.title"], all),
      rule(["Observation"], ["status", "code", "performer"], all),
    );
    const action = (code: string, patient: string) => ({
      code: [{ coding: [{ system: "urn:a", code }] }],
      participant: [to(patient)],
    });
    const group = (...actions: JsonObject[]) => ({
      resourceType: "RequestGroup",
      id: "g",
      meta: { versionId: "1" },
      status: "draft",
      intent: "plan",
      action: actions,
    });
    const before = (patient: string) => group(action("shown", "Patient/amara"), action("hidden", patient));
    const next = group(action("shown", "Patient/amara"), action("shown", "Patient/bela"));
    for (const patient of ["Patient/bela", "Patient/cleo"])
      expect(outcomeOf(await plan(hidden, "system/*.cruds", before(patient), next)), patient).toBe(
        "result_changes_patient",
      );
    // A hidden subject must not decide whether a performer may change.
    const seen = (performer: string) =>
      observation({ id: "o", meta: { versionId: "1" }, performer: [to(performer)] });
    for (const subject of [{}, { subject: to("Patient/amara") }])
      expect(
        outcomeOf(
          await plan(
            hidden,
            "system/*.cruds",
            { ...seen("Patient/amara"), ...subject },
            seen("Patient/bela"),
          ),
        ),
      ).toBe("result_changes_patient");
  });
});
