import { afterAll, beforeAll, test } from "vitest";
import { appGaps, appRequests } from "../support/app-requests.ts";
import { appRows } from "../support/app-world.ts";
import { startDoor, type Door } from "../support/in-process/door.ts";
import { inLane } from "../support/lane.ts";
import { outsideApps, type AskAs } from "../support/outside-apps.ts";
import { starterPolicy } from "../support/outside.ts";

// Requests of real apps under the starter policies, beside the FHIR server: each has the server's status, and the rows
// of the server's answer that its asker may see, by all pages. docs/conformance.md counts them.

const treating = { purpose: "TREAT", policy: "treat" };
const apps = {
  p: { policy: "patrqt", scopes: "patient/*.rs", claims: { patient: "ann" } },
  u: { ...treating, scopes: "user/*.cruds", claims: { fhirUser: "Practitioner/shared-doctor" } },
  s: { ...treating, scopes: "system/*.cruds" },
} as const;
type Who = keyof typeof apps;

let door: Door;
let ask: AskAs<Who>;
beforeAll(async () => {
  door = await startDoor({ resources: appRows });
  ask = await outsideApps(door, apps, [starterPolicy("patrqt"), starterPolicy("treat")]);
}, 60_000);
afterAll(() => door.close());

// Of every type that a policy opens without a reference.
const directories: Readonly<Record<Who, readonly string[]>> = {
  p: ["HealthcareService", "Questionnaire"],
  u: [
    "Practitioner",
    "PractitionerRole",
    "Organization",
    "HealthcareService",
    "Endpoint",
    "Questionnaire",
    "ValueSet",
  ],
  s: [],
};
interface Row {
  readonly resourceType: string;
  readonly id?: string;
}
// Of these types `treat` shows nothing.
const unseen: Readonly<Record<Who, readonly string[]>> = {
  p: [],
  u: ["ChargeItem", "ExplanationOfBenefit"],
  s: ["ChargeItem", "ExplanationOfBenefit"],
};
const isSeen = (who: Who, { resourceType, id = "" }: Row): boolean =>
  !unseen[who].includes(resourceType) &&
  (who === "s" ||
    directories[who].includes(resourceType) ||
    /^(?:ann|shared)(?:-|$)/u.test(id) ||
    resourceType === "Group"); // it has Ann alone

interface Answered extends Row {
  readonly total?: number;
  readonly entry?: readonly { readonly resource?: Row }[];
  readonly link?: readonly { readonly relation: string; readonly url: string }[];
}
const nextOf = ({ link }: Answered) => link?.find(({ relation }) => relation === "next")?.url;
const rowsIn = ({ resourceType, entry = [], ...row }: Answered): readonly Row[] =>
  resourceType === "Bundle" ? entry.flatMap(({ resource }) => resource ?? []) : [{ resourceType, ...row }];

/** All pages of an answer. */
async function walk(first: string, read: (url: string) => Promise<{ status: number; text: string }>) {
  const rows = new Set<string>();
  let [url, status, total, text]: [string | undefined, number, number | undefined, string] = [
    first,
    0,
    undefined,
    "",
  ];
  for (let page = 0; url !== undefined && page < 40; page += 1) {
    ({ status, text } = await read(url));
    if (status !== 200) break;
    const answer = JSON.parse(text) as Answered;
    total ??= answer.total;
    for (const { resourceType, id = "" } of rowsIn(answer)) rows.add(`${resourceType}/${id}`);
    url = nextOf(answer);
  }
  return { status, text, total, rows };
}

const cases = Object.entries(appRequests).flatMap(([app, lines]) =>
  lines
    .trim()
    .split("\n")
    .flatMap((line) => {
      const [, askers = "", path = ""] = /^(?<askers>\w+) (?<path>\S+)$/u.exec(line) ?? [];
      const written = path.replaceAll("{p}", "ann").replaceAll("|", "%7C");
      return askers.split("").map((who) => [app, who as Who, written] as const);
    }),
);
const every = inLane({ fast: 40, slow: 1, long: 1 });

test.for(cases.filter((_, n) => n % every === 0))("%s: %s %s", async ([, who, path], { expect }) => {
  const headers = { accept: "application/fhir+json" };
  const [here, there] = await Promise.all([
    walk(path, (url) => ask(who, url, { headers })),
    walk(path, async (url) => {
      const at = url.startsWith("http") ? url : `${door.dev.origin}/${url}`;
      const response = await door.within(() => fetch(at, { headers }));
      return { status: response.status, text: await response.text() };
    }),
  ]);
  const gap = appGaps[`${who} ${path}`];
  expect(here.status, here.text).toBe(gap ?? there.status);
  const seen = [...there.rows].filter((name) => {
    const [resourceType = "", id = ""] = name.split("/");
    return isSeen(who, { resourceType, id });
  });
  // A listing of a patient has more than R4's compartment: what belongs to the patient by a read (ADR 46).
  if (gap !== undefined) expect(here.rows.size).toBeLessThan(seen.length);
  else if (/\$everything|\*/u.test(path)) expect([...here.rows]).toEqual(expect.arrayContaining(seen));
  else expect([...here.rows].toSorted()).toEqual(seen.toSorted());
  if (path.includes("_summary=count")) expect(here.total).toBeGreaterThan(0);
});
