import type { Resource } from "@medplum/fhirtypes";
import { afterAll, beforeAll, test } from "vitest";
import { beyond, readsConsents, TwoWorlds, type Asking } from "../support/two-worlds.ts";

// A link whose note is hidden now, and a link whose note is absent now, cannot be distinguished.

let worlds: TwoWorlds;
beforeAll(async () => {
  worlds = await TwoWorlds.open();
}, 60_000);
afterAll(() => worlds.close());

const by = "telehealth";
const pdf = { headers: { accept: "application/pdf" } };
const patient: Resource = { resourceType: "Patient", id: "ann" };
const content: Resource = {
  resourceType: "Binary",
  id: "b",
  contentType: "application/pdf",
  data: "bm90ZQ==",
};
const note = (url: string, code?: string): Resource => ({
  resourceType: "DocumentReference",
  id: "note",
  ...(code !== undefined && {
    meta: { security: [{ system: "http://terminology.hl7.org/CodeSystem/v3-ActCode", code }] },
  }),
  status: "current",
  subject: { reference: "Patient/ann" },
  content: [{ attachment: { contentType: "application/pdf", url } }],
});

// The sealed record of a refusal says what decided.
const sealedReason = { records: /\/event\/(?:outcome\/reason|decision)$/u };

test("the link of a hidden note and of an absent note are alike, as are a bare id that a hidden note has and one that none has", async ({
  expect,
}) => {
  const visible = { origin: [patient, content, note("Binary/b")] };
  const { one, differences } = await worlds.compare(visible, visible, [
    { by, path: "DocumentReference/note" },
  ]);
  expect(differences).toEqual([]);
  const link =
    /"url":"(?<link>Binary\/[\w-]{65,})"/u.exec(one[0]?.body.toString() ?? "")?.groups?.["link"] ?? "";
  expect(link).not.toBe("");

  const asked: Asking[] = [
    { by, path: link, ...pdf },
    { by, path: link, method: "HEAD" },
    { by, path: link },
    { by, path: "Binary/b", ...pdf },
    { by, path: "Binary/b" },
  ];
  const hidden = { origin: [patient, content, note("Binary/b", "PSYTHPN")] };
  const absent = { origin: [patient, content] };
  const compared = await worlds.compare(hidden, absent, asked);
  expect(beyond(compared.differences, sealedReason)).toEqual([]);
  expect(compared.one.map(({ status }) => status)).toEqual([404, 404, 404, 404, 404]);

  // Neither does a visible note show where a link once led.
  const moved = { origin: [patient, content, note("Binary/other")] };
  const gone = { origin: [patient, note("Binary/other")] };
  const other = await worlds.compare(moved, gone, asked.slice(0, 3));
  expect(other.differences).toEqual([]);
  expect(other.one.map(({ status }) => status)).toEqual([404, 404, 404]);
});

test("labelled content and absent content of a visible note are alike, as are a context that is hidden and a Binary that is absent", async ({
  expect,
}) => {
  const visible = { origin: [patient, content, note("Binary/b")] };
  const read = await worlds.compare(visible, visible, [{ by, path: "DocumentReference/note" }]);
  const link =
    /"url":"(?<link>Binary\/[\w-]{65,})"/u.exec(read.one[0]?.body.toString() ?? "")?.groups?.["link"] ?? "";
  const asked: Asking[] = [link, "Binary/b", "Binary/b/_history"].map((path) => ({ by, path }));
  const label = { system: "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", code: "V" };
  const labelled: Resource = { ...content, meta: { security: [label] } };
  const compared = await worlds.compare(
    { origin: [patient, labelled, note("Binary/b")] },
    { origin: [patient, note("Binary/b")] },
    asked,
  );
  expect(beyond(compared.differences, sealedReason)).toEqual([]);
  expect(compared.one.map(({ status }) => status)).toEqual([404, 404, 404]);

  // The origin alone sees of which resource it is asked in place of the context.
  const behind: Resource = { ...content, securityContext: { reference: "DocumentReference/note" } };
  const context = await worlds.compare(
    { origin: [patient, behind, note("Binary/other", "PSYTHPN")] },
    { origin: [patient] },
    [{ by, path: "Binary/b" }],
  );
  const question = { questions: /^\/2\/path$/u };
  expect(beyond(context.differences, { ...sealedReason, ...question })).toEqual([]);
  expect(context.one.map(({ status }) => status)).toEqual([404]);
});

test("a hidden row of a patient whose Consent would open a labelled content is as an absent row", async ({
  expect,
}) => {
  const thp = "http://terminology.hl7.org/CodeSystem/";
  const restricted = { system: `${thp}v3-Confidentiality`, code: "R" };
  const labelled: Resource = { ...content, meta: { security: [restricted] } };
  const ben: Resource = { resourceType: "Patient", id: "ben" };
  const bens: Resource = {
    ...note("Binary/b", "PSYTHPN"),
    id: "note-of-ben",
    subject: { reference: "Patient/ben" },
  } as Resource;
  const permit: Resource = {
    resourceType: "Consent",
    id: "wish-of-ben",
    status: "active",
    scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
    category: [{ coding: [{ system: `${thp}v3-ActCode`, code: "IDSCL" }] }],
    patient: { reference: "Patient/ben" },
    dateTime: "2026-01-01",
    policyRule: { coding: [{ system: `${thp}v3-ActCode`, code: "OPTIN" }] },
    provision: { type: "permit", securityLabel: [restricted] },
  };
  const both = { consents: [permit], registry: readsConsents(worlds.originBase, "origin") };
  const rows = [patient, ben, labelled, note("Binary/b")];
  const asked: Asking[] = ["Binary/b", "Binary/b/_history"].map((path) => ({ by, path }));
  const compared = await worlds.compare(
    { origin: [...rows, bens], ...both },
    { origin: rows, ...both },
    asked,
  );
  expect(beyond(compared.differences, sealedReason)).toEqual([]);
  expect(compared.one.map(({ status }) => status)).toEqual([404, 404]);
  // A visible row of ben opens it.
  const { id: _, ...shown } = note("Binary/b") as Resource & { id: string };
  const open = { ...shown, id: "note-of-ben", subject: { reference: "Patient/ben" } } as Resource;
  const opened = await worlds.compare(
    { origin: [...rows, open], ...both },
    { origin: [...rows, open], ...both },
    asked,
  );
  expect(opened.differences).toEqual([]);
  expect(opened.one.map(({ status }) => status)).toEqual([200, 200]);
});
