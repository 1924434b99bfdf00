import { afterAll, beforeAll, test } from "vitest";
import { starterPolicy } from "../support/outside.ts";
import { type AskAs, outsideApps } from "../support/outside-apps.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { to } from "../support/fhir-parts.ts";

// What a patient wrote belongs to the patient: a row without a subject that names the patient as its sender or author.

const message = (id: string, more: object) => ({
  resourceType: "Communication",
  id,
  status: "completed",
  ...more,
});
const answers = (id: string, more: object) => ({
  resourceType: "QuestionnaireResponse",
  id,
  status: "completed",
  ...more,
});
const [ann, ben] = [to("Patient/ann"), to("Patient/ben")];
const world = [
  { resourceType: "Patient", id: "ann" },
  { resourceType: "Patient", id: "ben" },
  message("about", { subject: ann }),
  message("sent-1", { sender: ann }),
  message("sent-2", { sender: ann, recipient: [to("Practitioner/p")] }),
  message("got", { recipient: [ann], sender: to("Practitioner/p") }),
  message("bens", { sender: ben }),
  message("to-ben", { sender: ann, recipient: [ben] }),
  message("about-ben", { sender: ann, subject: ben }),
  answers("wrote", { author: ann }),
  answers("of-ben", { author: ann, subject: ben }),
];
const theirs = ["about", "got", "sent-1", "sent-2"];

let phylax: Door;
let ask: AskAs<"app" | "clinic">;
beforeAll(async () => {
  phylax = await startDoor({ resources: world });
  const apps = {
    app: { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "ann", fhirUser: "Patient/ann" } },
    clinic: { policy: "treat", purpose: "TREAT", scopes: "system/*.rs" },
  } as const;
  ask = await outsideApps(phylax, apps, [starterPolicy("patrqt"), starterPolicy("treat")]);
}, 60_000);
afterAll(() => phylax.close());

/** The rows of a list, over all of its pages. */
async function listed(who: "app" | "clinic", path: string): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let at: string | undefined = path; at !== undefined;) {
    const reply = await ask(who, at);
    if (reply.status !== 200) return [`${reply.status} ${reply.text}`];
    const { entry = [], link = [] } = JSON.parse(reply.text);
    for (const { resource } of entry) ids.push(resource.id);
    at = link.find(({ relation }: { relation: string }) => relation === "next")?.url;
  }
  return ids.toSorted();
}

for (const who of ["app", "clinic"] as const)
  test(`${who}: what the patient sent, got or wrote is in each list of the patient's rows, as it is by id`, async ({
    expect,
  }) => {
    for (const { resourceType, id } of world.slice(2)) {
      const isTheirs = theirs.includes(id) || id === "wrote";
      const { status } = await ask(who, `${resourceType}/${id}`);
      expect(status, id).toBe(isTheirs || who === "clinic" ? 200 : 404);
    }
    for (const query of ["", "?_count=1", "?_sort=-_id"])
      expect(await listed(who, `Patient/ann/Communication${query}`), query).toEqual(theirs);
    expect(await listed(who, "Patient/ann/Communication?sender=Patient/ann")).toEqual(["sent-1", "sent-2"]);
    expect(await listed(who, "Patient/ann/QuestionnaireResponse")).toEqual(["wrote"]);
    for (const query of [
      "?_type=Communication,QuestionnaireResponse",
      "?_type=Communication,QuestionnaireResponse&_count=1",
    ])
      for (const path of ["Patient/ann/*", "Patient/ann/$everything"])
        expect(await listed(who, path + query), path + query).toEqual([...theirs, "wrote"]);
    if (who === "app")
      expect(await listed(who, "?_type=Communication,QuestionnaireResponse")).toEqual([...theirs, "wrote"]);
    // the criterion names the subject alone
    expect(await listed(who, "Communication?subject=Patient/ann")).toEqual(["about"]);
  });
