import { afterAll, beforeAll, test } from "vitest";
import type { Sending } from "../../cli/connection/mutual-tls.ts";
import { openLedger } from "../support/auditor.ts";
import { startCarelessOrigin } from "../support/careless-origin.ts";
import { starterPolicy } from "../support/outside.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { to } from "../support/fhir-parts.ts";

const observation = (id: string, more: object) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: id, coding: [{ code: "x" }] },
  ...more,
});
const appointment = (id: string, ...actors: object[]) => ({
  resourceType: "Appointment",
  id,
  status: "booked",
  participant: actors.map((actor) => ({ actor, status: "accepted" })),
});
const amara = to("Patient/amara");

/** The id names the patient of each row: `own-…` is Amara's. No further row may reach her. */
const resources = (url: string) => [
  { resourceType: "Patient", id: "amara" },
  { resourceType: "Patient", id: "bela", link: [{ other: amara, type: "seealso" }] },
  observation("own-relative", { subject: amara }),
  observation("own-absolute", { subject: to(`${url}/Patient/amara`) }),
  observation("own-version", { subject: to("Patient/amara/_history/2") }),
  observation("own-performed", { performer: [amara, to("Practitioner/p")] }),
  observation("belas", { subject: to("Patient/bela") }),
  observation("belas-performed-by-amara", { subject: to("Patient/bela"), performer: [amara] }),
  observation("belas-focus", { subject: to("Patient/bela"), focus: [amara] }),
  observation("of-a-group", { subject: to("Group/amara") }),
  observation("of-another-server", { subject: to("https://elsewhere.example/fhir/Patient/amara") }),
  observation("of-an-identifier", { subject: { identifier: { value: "amara" } } }),
  observation("of-a-contained", {
    contained: [{ resourceType: "Patient", id: "amara" }],
    subject: to("#amara"),
  }),
  observation("of-nobody", {}),
  appointment("own-alone", amara, to("Practitioner/p"), to("Location/l")),
  appointment("with-bela", amara, to("Patient/bela")),
  { resourceType: "Practitioner", id: "p" },
];

let phylax: Door;
let origin: Awaited<ReturnType<typeof startCarelessOrigin>>;
let askApp: AskAs<"app">;
beforeAll(async () => {
  const all: ReturnType<typeof resources> = [];
  origin = await startCarelessOrigin(all);
  all.push(...resources(origin.url));
  phylax = await startDoor({ origin: origin.url });
  const app = { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "amara" } };
  askApp = await outsideApps(phylax, { app }, [starterPolicy("patrqt")]);
}, 120_000);
afterAll(async () => {
  await phylax.close();
  await origin.close();
});

const ask = (path: string, sending: Sending = {}) => askApp("app", path, sending);
const found = async (path: string): Promise<readonly string[]> => {
  const bundle: { readonly entry?: readonly { readonly resource: { readonly id: string } }[] } = JSON.parse(
    (await ask(path)).text,
  );
  return (bundle.entry ?? []).map(({ resource }) => resource.id);
};
const idsOf = (type: string) => resources("").flatMap((one) => (one.resourceType === type ? [one.id] : []));

test("only the patient's own rows leave an origin that ignores the question, and the question was narrowed all the same", async ({
  expect,
}) => {
  expect(await found("Observation?code=x")).toEqual(
    idsOf("Observation").filter((id) => id.startsWith("own-")),
  );
  const questions = origin.asked.slice(-2).map((asked) => asked.replace(/&_count=\d+$/u, ""));
  expect(questions).toEqual([
    "Observation?code=x&patient=Patient/amara",
    "Observation?code=x&performer=Patient/amara",
  ]);
  expect(await found("Appointment")).toEqual(["own-alone"]);
  expect(origin.asked.at(-1)).toContain("patient=Patient/amara");
  expect(await found("Patient")).toEqual(["amara"]);
  expect(origin.asked.at(-1)).toContain("_id=amara");
  for (const query of [
    "Observation?patient=bela",
    "Observation?subject=Patient/bela",
    "Patient?_id=bela",
    "Appointment?actor=Patient/bela",
  ]) {
    expect(await found(query), query).toEqual([]);
  }
});

test("a read gives the patient's own row, and for any further row exactly the answer for an absent row", async ({
  expect,
}) => {
  const absent = (await ask("Observation/not-there")).text.replaceAll(/[0-9a-f]{32}/gu, "");
  for (const { resourceType, id } of resources("").filter(
    ({ resourceType }) => resourceType !== "Practitioner",
  )) {
    const reply = await ask(`${resourceType}/${id}`);
    const own = id.startsWith("own-") || id === "amara";
    expect(reply.status, id).toBe(own ? 200 : 404);
    if (!own) expect(reply.text.replaceAll(/[0-9a-f]{32}/gu, ""), id).toBe(absent);
    // This holds for a version too, also if the origin answers with a wrong version or fails at it.
    for (const version of ["9", "fails"]) {
      const old = await ask(`${resourceType}/${id}/_history/${version}`);
      expect(old.status, `${id} ${version}`).toBe(own ? 502 : 404);
      if (!own) expect(old.text.replaceAll(/[0-9a-f]{32}/gu, ""), id).toBe(absent);
    }
  }
});

test("a type of no patient is searched for, or read, only if the policy names the references to it", async ({
  expect,
}) => {
  const before = origin.asked.length;
  for (const path of [
    "BiologicallyDerivedProduct",
    "Endpoint?_id=p",
    "Substance",
    "DeviceMetric/q",
    "GuidanceResponse/t",
  ])
    expect((await ask(path)).status, path).toBe(403);
  expect(origin.asked.length).toBe(before);
});

test("a narrowed search is on record with the token's patient, and the dropped rows are counted", async ({
  expect,
}) => {
  const id = (await ask("Observation")).headers["x-request-id"];
  const record = (await openLedger(phylax.dev)).find(({ event }) => event.id === id)?.event;
  expect(record).toMatchObject({
    who: { patient: "amara" },
    patients: [{ patient: "main/Patient/amara", counts: { Observation: 4 } }],
    // eight, and a row in which she took part, which this origin also sends among her own
    withheld: { resources: 9 },
  });
});
