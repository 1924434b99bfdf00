import { RowBarrier } from "#fhir/row-barrier";
import { describe, test } from "vitest";
import { Discloser } from "#phi/disclose";
import { sizeHeldBy } from "#gateway/change/plan/planned-write";
import { Page } from "#phi/page";
import type { PolicyDocument } from "#policy/schema";
import { decide, policy, rule } from "../policy/granting.ts";
import { base, namedBy, origin, outcomeOf, plan, planDelete, planPatch, residences, to } from "./planning.ts";

const all = {
  interactions: ["read" as const, "search" as const, "create" as const, "update" as const, "delete" as const],
};
const open = policy(
  rule(["Observation", "Group", "Bundle"], "everything", all),
  rule(["Patient", "Device"], "everything", all),
);
const observation = (more: object = {}) => ({
  resourceType: "Observation",
  id: "o",
  meta: { versionId: "1" },
  status: "final",
  code: { text: "a" },
  subject: to("Patient/amara"),
  ...more,
});

/** Extensions in extensions, two levels of JSON each. */
const nested = (levels: number): object[] => [
  levels <= 1 ? { url: "urn:x", valueString: "deep" } : { url: "urn:x", extension: nested(levels - 1) },
];
const write = (document: PolicyDocument, stored: object | undefined, body: object) =>
  plan(document, "system/*.cruds", stored, body);
const patch = (stored: ReturnType<typeof observation>, ...operations: object[]) =>
  planPatch(open, "system/*.cruds", stored, operations);

/** Says whether the planned text can be read again, by itself and on a page. */
function isRead(planned: Awaited<ReturnType<typeof plan>>): boolean {
  if (!planned.ok || planned.value.kind !== "send") throw new Error("nothing is sent");
  const resource = (planned.value.write.body ?? "").replace(
    /^\{"resourceType":"Observation",(?!"id")/u,
    '{"resourceType":"Observation","id":"o",',
  );
  const [read, search] = [decide(open, "Observation/o"), decide(open, "Observation")];
  if ("reason" in read || "reason" in search || search.expects.kind !== "search") throw new Error("refused");
  const bases = { origin, public: base, name: "main", residences, barrier: new RowBarrier() };
  const bytes = (text: string) => new TextEncoder().encode(text);
  const alone = new Discloser(read, bases).read(bytes(resource), "Observation", "o");
  const offered = new Page(search, search.expects, bases).offer(bytes(`{"resource":${resource}}`));
  return alone.ok && offered.ok && offered.value === "shown";
}

describe("what a write makes of a resource is held to what is read of one, before anything is sent", () => {
  test("depth: by a body, and by a patch that nests deep values", async ({ expect }) => {
    const [shallow, deep] = [
      await write(open, undefined, observation({ extension: nested(40) })),
      nested(48),
    ];
    expect([outcomeOf(shallow), isRead(shallow)]).toEqual(["send", true]);
    expect(outcomeOf(await write(open, undefined, observation({ extension: deep })))).toBe(
      "result_exceeds_limits",
    );
    const within = observation({ extension: nested(40) });
    const path = `${"/extension/0".repeat(39)}/extension`;
    const put = (levels: number) =>
      patch(
        within,
        { op: "remove", path: `${"/extension/0".repeat(40)}/valueString` },
        { op: "add", path: `/extension/0${path}`, value: nested(levels) },
      );
    expect(outcomeOf(await put(5))).toBe("send");
    expect(isRead(await put(5))).toBe(true);
    expect(outcomeOf(await put(9))).toBe("result_exceeds_limits");
    expect(outcomeOf(await put(45))).toBe("patch_exceeds_limits");
    const copied = patch(within, { op: "copy", from: "/extension", path: `/extension/0${path}` });
    expect(outcomeOf(await copied)).toBe("patch_exceeds_limits");
  });

  test("size: nine copies of a megabyte", async ({ expect }) => {
    const large = observation({ note: [{ text: "x".repeat(1_000_000) }] });
    const copies = (number: number) =>
      patch(
        large,
        ...Array.from({ length: number }, () => ({ op: "copy", from: "/note/0", path: "/note/-" })),
      );
    expect(outcomeOf(await copies(9))).toBe("result_exceeds_limits");
    expect([outcomeOf(await copies(2)), isRead(await copies(2))]).toEqual(["send", true]);
  });

  test("a row that is already larger may change, but not grow", async ({ expect }) => {
    const large = observation({ note: Array.from({ length: 7 }, () => ({ text: "x".repeat(930_000) })) });
    expect(outcomeOf(await patch(large, { op: "replace", path: "/code/text", value: "b" }))).toBe("send");
    expect(outcomeOf(await patch(large, { op: "replace", path: "/code/text", value: "bc" }))).toBe(
      "result_exceeds_limits",
    );
    expect(outcomeOf(await patch(large, { op: "add", path: "/note/-", value: { text: "x" } }))).toBe(
      "result_exceeds_limits",
    );
  });

  test.for(["an update", "a patch"])(
    "size: %s does not tell the size of what its writer does not see",
    async (form, { expect }) => {
      const noNotes = policy(
        rule(["Observation"], ["status", "code", "subject", "comment", "method"], {
          interactions: ["read", "update"],
        }),
      );
      const outcomesWith = async (note: string) => {
        const stored = observation({ note: [{ text: note }] });
        const outcomes = [];
        // around 3 MiB, and 3 MiB less 16 KiB
        for (const characters of [3_100_000, 3_129_200, 3_145_500, 3_145_650]) {
          // a string of R4 has at most 1 MiB
          const text = "x".repeat(characters - 3_000_000);
          const code = {
            coding: Array.from({ length: 3 }, () => ({ display: "x".repeat(1_000_000) })),
            text,
          };
          const planned =
            form === "a patch"
              ? planPatch(noNotes, "system/*.cruds", stored, [{ op: "replace", path: "/code", value: code }])
              : plan(noNotes, "system/*.cruds", stored, { ...observation(), code });
          outcomes.push(outcomeOf(await planned));
        }
        return outcomes;
      };
      const without = await outcomesWith("a");
      expect(without[0]).toBe("send");
      expect(without.at(-1)).toBe("result_exceeds_limits");
      for (const length of [40, 15_000]) expect(await outcomesWith("n".repeat(length))).toEqual(without);
    },
  );

  test("L59: the plans that a request may hold do not tell the size of what their writer does not see", async ({
    expect,
  }) => {
    const noNotes = policy(
      rule(["Observation"], ["status", "code", "subject", "comment", "method"], {
        interactions: ["read", "update"],
      }),
    );
    const sizes = [];
    for (const text of ["a", "a".repeat(4_000), "\u{e9}".repeat(3_900), "a".repeat(4_200)]) {
      const planned = await write(noNotes, observation({ note: [{ text }] }), observation());
      sizes.push(planned.ok && planned.value.kind === "send" ? sizeHeldBy(planned.value) : 0);
    }
    const [first = 0, ...others] = sizes;
    expect(others).toEqual([first, first, first + 4_096]);
  });

  test("patients: 5,100 in an element that does not decide the owner", async ({ expect }) => {
    const focused = (number: number) => Array.from({ length: number }, (_, n) => to(`Patient/p${n}`));
    const focus = (number: number) => observation({ focus: focused(number) });
    expect(outcomeOf(await write(open, undefined, focus(5_100)))).toBe("result_exceeds_limits");
    const crowd = await write(open, undefined, focus(4_900));
    expect([outcomeOf(crowd), isRead(crowd), namedBy(crowd).patients.length]).toEqual(["send", true, 4_901]);
    const grown = patch(focus(4_900), { op: "replace", path: "/focus", value: focused(5_100) });
    expect(outcomeOf(await grown)).toBe("result_exceeds_limits");
  });

  test("cost: more times than a search by date reads", async ({ expect }) => {
    const timed = (number: number) =>
      observation({
        effectiveTiming: { event: Array.from({ length: number }, (_, n) => `${1000 + (n % 9000)}`) },
      });
    expect(outcomeOf(await write(open, undefined, timed(140_000)))).toBe("result_exceeds_limits");
    const most = await write(open, undefined, timed(4_800));
    expect([outcomeOf(most), isRead(most)]).toEqual(["send", true]);
  });

  test("contained resources: more than are cut", async ({ expect }) => {
    const of = (number: number) =>
      observation({
        contained: Array.from({ length: number }, (_, n) => ({ resourceType: "Device", id: `d${n}` })),
        extension: Array.from({ length: number }, (_, n) => ({ url: "urn:d", valueReference: to(`#d${n}`) })),
      });
    expect(outcomeOf(await write(open, undefined, of(201)))).toBe("result_exceeds_limits");
    const most = await write(open, undefined, of(200));
    expect([outcomeOf(most), isRead(most)]).toEqual(["send", true]);
  });
});

describe("a row that cannot be read can be deleted", () => {
  const text = JSON.stringify(observation());
  const deep = "[".repeat(180) + "]".repeat(180);
  const monsters: Record<string, string> = {
    "too deep": `{"extension":[{"url":"urn:x","x":${deep}}],${text.slice(1)}`,
    "deep in its owner": text.replace('"subject":{', `"subject":{"extension":${deep},`),
    "too large": `{"language":"${"x".repeat(9_000_000)}",${text.slice(1)}`,
    "a repeated name": `{"language":"en","language":"de",${text.slice(1)}`,
    "too many patients": `{"focus":${JSON.stringify(Array.from({ length: 5_100 }, (_, n) => to(`Patient/p${n}`)))},${text.slice(1)}`,
  };
  const remove = (row: string, scope = "system/*.cruds", document = open) =>
    planDelete(document, scope, row, { type: "Observation", id: "o" });

  test.for(Object.keys(monsters))("%s", async (name, { expect }) => {
    const row = monsters[name] ?? "";
    const planned = await remove(row);
    expect(planned).toMatchObject({
      ok: true,
      value: { kind: "send", write: { method: "DELETE", path: "Observation/o", version: "1" } },
    });
    expect(namedBy(planned).patients).toContain("amara");
    expect(namedBy(planned)).toMatchObject({ unnamed: true });
    expect(namedBy(planned).patients.length).toBe(name === "too many patients" ? 5_101 : 1);
    // Only rows of the user's own patients.
    expect(outcomeOf(await remove(row, "user/*.cruds"))).toBe("send");
    expect(outcomeOf(await remove(row.replace("Patient/amara", "Patient/bela"), "user/*.cruds"))).toBe(
      "row_outside_access",
    );
  });

  test("not a row with a contained resource: a Consent of a patient inside may deny", async ({ expect }) => {
    const inside = '{"resourceType":"Observation","id":"c","subject":{"reference":"Patient/bela"}}';
    const row = (monsters["too large"] ?? "").replace('"status"', `"contained":[${inside}],"status"`);
    expect(outcomeOf(await remove(row))).toBe("row_outside_access");
  });

  test("not a row outside the rules, nor a labelled row, however deep the label is", async ({ expect }) => {
    const labs = policy(
      rule(["Observation"], "everything", { ...all, where: [{ path: "category", in: ["urn:c|lab"] }] }),
    );
    const lab = (code: string) =>
      text.replace('"status"', `"category":[{"coding":[{"system":"urn:c","code":"${code}"}]}],"status"`);
    expect(outcomeOf(await remove(lab("lab"), "system/*.cruds", labs))).toBe("send");
    expect(outcomeOf(await remove(lab("note"), "system/*.cruds", labs))).toBe("row_outside_access");
    const label = '{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}';
    expect(outcomeOf(await remove(text.replace('"versionId"', `"security":[${label}],"versionId"`)))).toBe(
      "row_outside_access",
    );
    const inline =
      "http://hl7.org/fhir/uv/security-label-ds4p/StructureDefinition/extension-inline-sec-label";
    for (const url of [inline, inline.replaceAll("/", String.raw`\/`)])
      expect(
        outcomeOf(
          await remove(`{"note":${"[".repeat(180)}{"url":"${url}"}${"]".repeat(180)},${text.slice(1)}`),
        ),
      ).toBe("row_outside_access");
  });

  test("not a row with an unknown modifier, whatever its size", async ({ expect }) => {
    const modifier = '"modifierExtension":[{"url":"urn:unknown","valueBoolean":true}]';
    for (const member of [modifier, '"implicitRules":"urn:x"'])
      for (const more of ["", `"language":"${"x".repeat(9_000_000)}",`])
        expect(outcomeOf(await remove(`{${more}${member},${text.slice(1)}`)), member).toBe(
          "resource_withheld",
        );
  });

  test("nor a row without readable labels, owners or id, nor a text that is not JSON", async ({ expect }) => {
    expect(outcomeOf(await remove(`{"meta":{"versionId":"1"},${text.slice(1)}`))).toBe("resource_withheld");
    expect(
      outcomeOf(await remove(text.replace('"versionId"', '"security":[],"security":[],"versionId"'))),
    ).toBe("resource_withheld");
    expect(outcomeOf(await remove(`{"subject":{},${text.slice(1)}`))).toBe("resource_withheld");
    expect(outcomeOf(await remove(text.replace('"id":"o"', '"id":"p"')))).toBe("answer_mismatch");
    expect(outcomeOf(await remove(text.replace('"versionId":"1"', '"source":"urn:x"')))).toBe(
      "version_missing",
    );
    expect(outcomeOf(await remove(`${text}x`))).toBe("answer_not_json");
  });
});
