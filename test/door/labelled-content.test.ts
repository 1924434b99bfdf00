import { afterAll, beforeAll, test } from "vitest";
import { eventsOf } from "../support/auditor.ts";
import { fhirSending, to } from "../support/fhir-parts.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { outsideApps, registerMain, type AskAs } from "../support/outside-apps.ts";
import { starterPolicy } from "../support/outside.ts";
import { patience } from "../support/patience.ts";
import { policyEntry, rule } from "../policy/granting.ts";

// A Binary names no patient: the patients of the visible row that leads to it judge its labels.

const thp = "http://terminology.hl7.org/CodeSystem/";
const level = (code: string) => ({ system: `${thp}v3-Confidentiality`, code });
const act = (code: string) => ({ system: `${thp}v3-ActCode`, code });
const binary = (id: string, security: readonly object[], more: object = {}) => ({
  resourceType: "Binary",
  id,
  contentType: "text/plain",
  data: Buffer.from(`the note ${id}`).toString("base64"),
  ...(security.length > 0 && { meta: { security } }),
  ...more,
});
const note = (id: string, patient: string, content = id, more: object = {}) => ({
  resourceType: "DocumentReference",
  id,
  status: "current",
  subject: to(`Patient/${patient}`),
  content: [{ attachment: { contentType: "text/plain", url: `Binary/${content}` } }],
  ...more,
});
const world = [
  ...["amara", "bela", "carla"].map((id) => ({ resourceType: "Patient", id })),
  binary("plain", []),
  binary("restricted", [level("R")]),
  binary("therapy", [act("PSYTHPN")]),
  binary("of-bela", [level("R")]),
  binary("behind", [level("R")], { securityContext: to("DocumentReference/plain") }),
  binary("behind-bela", [level("R")], { securityContext: to("DocumentReference/of-bela") }),
  ...["plain", "restricted", "therapy"].map((id) => note(id, "amara")),
  note("of-bela", "bela"),
  // a content of two patients: the first and the last row of the origin
  binary("shared", [level("R")]),
  binary("shared-behind", [level("R")], { securityContext: to("DocumentReference/shared-1") }),
  note("shared-1", "amara", "shared"),
  note("shared-2", "amara", "shared-behind"),
  ...Array.from({ length: 8 }, (_, n) => note(`shared-3${n}`, "carla", "shared")),
  note("shared-4", "bela", "shared-behind"),
  note("shared-5", "bela", "shared"),
  binary("half", [level("R")]),
  note("half-1", "amara", "half"),
  note("half-2", "bela", "half", { meta: { security: [act("PSYTHPN")] } }),
];
const apps = {
  amara: {
    policy: "patrqt",
    scopes: "patient/*.rs",
    claims: { patient: "amara", fhirUser: "Patient/amara" },
  },
  bela: { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "bela", fhirUser: "Patient/bela" } },
  clinic: { purpose: "TREAT", policy: "treat", scopes: "system/*.rs" },
  registrar: { purpose: "TREAT", policy: "registrar", scopes: "system/*.cruds" },
} as const;
type Who = keyof typeof apps;
let door: Door;
let ask: AskAs<Who>;
beforeAll(async () => {
  door = await startDoor({ resources: world });
  const registrar = policyEntry(
    "registrar",
    [rule(["Consent"], "everything", { interactions: ["read", "create", "update", "delete"] })],
    { consentRegistrar: true },
  );
  ask = await outsideApps(door, apps, [starterPolicy("patrqt"), starterPolicy("treat"), registrar]);
  await registerMain(door, { transactions: "atomic", honoursIfMatchOnDelete: true });
}, 60_000);
afterAll(() => door.close());

const wanted = { headers: { accept: "text/plain" } };
const read = async (who: Who, path: string) => {
  const { status, text } = await ask(who, path, wanted);
  return status === 200 ? text : status;
};
async function readByLink(who: Who, id: string) {
  const { text } = await ask(who, `DocumentReference/${id}`);
  const link = /"url":"(?<url>Binary\/[^"]*)"/u.exec(text)?.groups?.["url"];
  return link === undefined ? "no link" : read(who, link);
}
const permit = (patient: string) => ({
  resourceType: "Consent",
  status: "active",
  scope: { coding: [{ system: `${thp}consentscope`, code: "patient-privacy" }] },
  category: [{ coding: [act("IDSCL")] }],
  patient: to(`Patient/${patient}`),
  dateTime: "2026-11-01",
  policyRule: { coding: [act("OPTIN")] },
  provision: { type: "permit", securityLabel: [level("N"), level("R")] },
});

test("the individual reads labelled content of a note of their own, but no psychotherapy notes and no other patient's", async ({
  expect,
}) => {
  expect(await readByLink("amara", "restricted")).toBe("the note restricted");
  expect(await read("amara", "Binary/restricted")).toBe("the note restricted");
  expect(await read("amara", "Binary/behind")).toBe("the note behind");
  expect(await readByLink("amara", "therapy")).toBe(404);
  for (const id of ["therapy", "of-bela", "behind-bela"])
    expect(await read("amara", `Binary/${id}`), id).toBe(404);
  for (const id of ["restricted", "behind"]) expect(await read("bela", `Binary/${id}`), id).toBe(404);
});

test("a Consent of the patient of the note opens its labelled content to a reader, and the end of the Consent closes it", async ({
  expect,
}) => {
  const seen = async () => [
    await read("clinic", "Binary/plain"),
    await readByLink("clinic", "restricted"),
    await read("clinic", "Binary/restricted"),
    await read("clinic", "Binary/behind"),
    await read("clinic", "Binary/of-bela"),
    await read("clinic", "Binary/therapy"),
  ];
  const closed = ["the note plain", 404, 404, 404, 404, 404];
  expect(await seen()).toEqual(closed);
  const filed = await ask("registrar", "Consent", fhirSending("POST", permit("amara")));
  expect(filed.status, filed.text).toBe(201);
  await expect
    .poll(seen, patience)
    .toEqual(["the note plain", "the note restricted", "the note restricted", "the note behind", 404, 404]);
  const [, id = ""] = /Consent\/([^/]+)/u.exec(filed.headers["location"] ?? "") ?? [];
  expect((await ask("registrar", `Consent/${id}`, { method: "DELETE" })).status).toBe(204);
  await expect.poll(seen, patience).toEqual(closed);
});

test("a content to which several visible rows lead is opened by a Consent of the patient of any of them, who goes on record", async ({
  expect,
}) => {
  const ids = ["shared", "shared-behind", "half"];
  const seen = () => Promise.all(ids.map((id) => read("clinic", `Binary/${id}`)));
  expect(await seen()).toEqual([404, 404, 404]);
  for (const patient of ["bela", "amara"]) {
    const filed = await ask("registrar", "Consent", fhirSending("POST", permit(patient)));
    expect(filed.status, filed.text).toBe(201);
    // A hidden row of bela leads to `half`.
    const half = patient === "bela" ? 404 : "the note half";
    const open = ["the note shared", "the note shared-behind", half];
    await expect.poll(seen, patience).toEqual(open);
    const reply = await ask("clinic", "Binary/shared", wanted);
    const events = await eventsOf(door.dev, reply.headers["x-request-id"]);
    const named = events.flatMap(({ patients }) => patients.map((each) => each.patient));
    expect(named).toContain(`main/Patient/${patient}`);
    expect(named).not.toContain("main/Patient/carla");
    const listed = await ask("clinic", "Binary/shared/_history");
    expect([listed.status, JSON.parse(listed.text).entry?.length]).toEqual([200, 1]);
    const [, id = ""] = /Consent\/([^/]+)/u.exec(filed.headers["location"] ?? "") ?? [];
    expect((await ask("registrar", `Consent/${id}`, { method: "DELETE" })).status).toBe(204);
    await expect.poll(seen, patience).toEqual([404, 404, 404]);
  }
});

test("the versions of a content are listed as each is read, without a version behind another context", async ({
  expect,
}) => {
  const put = async (more: object) => {
    const changed = await door.within(() =>
      fetch(`${door.dev.origin}/Binary/behind`, fhirSending("PUT", binary("behind", [], more))),
    );
    expect(changed.status).toBe(200);
  };
  await put({ securityContext: to("DocumentReference/of-bela") });
  await put({ securityContext: to("DocumentReference/plain") });
  const list = async (who: Who, id: string) => {
    const { status, text } = await ask(who, `Binary/${id}/_history`);
    const { entry = [] } = JSON.parse(text) as { entry?: readonly unknown[] };
    return status === 200 ? entry.length : status;
  };
  expect([await list("amara", "behind"), await list("amara", "plain")]).toEqual([2, 1]);
  for (const id of ["of-bela", "behind-bela", "absent"]) expect(await list("amara", id), id).toBe(404);
  expect(await list("bela", "plain")).toBe(404);
});

test("a Binary with a hidden context costs the origin as many questions as an absent one", async ({
  expect,
}) => {
  const asked = async (path: string) => {
    door.forwarded.length = 0;
    const { status } = await ask("amara", path);
    return [status, door.forwarded.length];
  };
  const absent = await asked("Binary/absent");
  expect(absent[0]).toBe(404);
  for (const id of ["behind-bela", "of-bela", "therapy"])
    expect(await asked(`Binary/${id}`), id).toEqual(absent);
});
