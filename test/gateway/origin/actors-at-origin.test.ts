import { test } from "vitest";
import type { OriginQuestion } from "#fhir/ports";
import { RowBarrier } from "#fhir/row-barrier";
import type { ReadConsent } from "#gateway/consents/consent-filing";
import { withActors } from "#gateway/origin/actors-at-origin";
import { nothingToResolve } from "#gateway/origin/asking";
import { HeldBytes } from "#gateway/origin/held-bytes";
import { instant } from "#kernel/clock";
import { utf8 } from "#kernel/encoded";
import { err, ok } from "#kernel/result";
import { readConsent } from "#policy/consent/read-consent";
import { consent, recipient } from "../../policy/consent/scene.ts";

const base = "https://origin.example/fhir";
const group = (id: string, ...members: readonly string[]) => ({
  resourceType: "Group",
  id,
  actual: true,
  member: members.map((reference) => ({ entity: { reference } })),
});
const naming = (id: string, patient: string, ...actors: readonly string[]): ReadConsent => ({
  consent: id,
  content: {
    patient,
    rules: readConsent(
      consent({ type: "deny", actor: actors.map((reference) => recipient({ reference })) }),
      base,
    ),
  },
  mayPermit: true,
  filedBy: undefined,
});

/**
 * The names to which each actor comes (undefined: it is not known), and the questions to the origin.
 *
 * @param failing ids for which the origin answers with a status.
 */
async function named(
  consents: readonly ReadConsent[],
  rows: readonly object[] | "down",
  failing: Readonly<Record<string, number>> = {},
) {
  const questions: string[] = [];
  const ask = async (question: OriginQuestion) => {
    const { path, query } = question as { readonly path: string; readonly query: string };
    questions.push(`${path}?${query}`);
    if (rows === "down") return err({ reason: "origin_unreachable" } as const);
    const ids = new Set(/_id=(?<ids>[^&]*)/u.exec(query)?.groups?.["ids"]?.split(","));
    for (const [id, status] of Object.entries(failing))
      if (ids.has(id)) return err({ reason: "origin_refused", status } as const);
    const entry = (rows as readonly { readonly resourceType: string; readonly id: string }[])
      .filter(({ resourceType, id }) => resourceType === path && ids.has(id))
      .map((resource) => ({ resource, search: { mode: "match" } }));
    const text = JSON.stringify({ resourceType: "Bundle", type: "searchset", entry });
    const body = (async function* () {
      yield ok(utf8(text));
    })();
    return ok({ kind: "answered", body, base } as const);
  };
  const origin = {
    ...nothingToResolve,
    ask,
    held: new HeldBytes(),
    barrier: new RowBarrier(),
    traits: async () => undefined,
  };
  const found = await withActors(consents, origin, instant(Date.parse("2026-11-27T11:00:00Z")));
  const names = found.map(({ content }) =>
    content?.rules.readings[0]?.root.frame.recipients?.map((party) =>
      party?.reference === undefined
        ? undefined
        : party.meant?.map((name) => (name === null ? "?" : (name.reference ?? "by identifier"))).join(),
    ),
  );
  return { names, questions };
}

const padding = ["Group", "CareTeam", "PractitionerRole", "Device", "Organization"].map(
  (type) => `${type}?_id=-&_count=1`,
);

test("a reading asks each type once, whatever the Consents name and whatever the origin has", async ({
  expect,
}) => {
  const role = (id: string, more: object = {}) => ({
    resourceType: "PractitionerRole",
    id,
    practitioner: { reference: "Practitioner/q" },
    ...more,
  });
  const lab = { resourceType: "Organization", id: "lab", identifier: [{ system: "urn:npi", value: "1" }] };
  const rows = [
    group("a", "Practitioner/p", "PractitionerRole/r"),
    role("r", { organization: { reference: "Organization/lab" } }),
    lab,
  ];
  const some = [naming("1", "ann", "Group/a", "Practitioner/x"), naming("2", "ben", "Group/a", "Group/none")];
  expect(await named(some, rows)).toEqual({
    names: [
      ["Practitioner/p,PractitionerRole/r", undefined],
      ["Practitioner/p,PractitionerRole/r", "?"],
    ],
    questions: [
      "Group?_id=a,none&_count=2",
      "CareTeam?_id=-&_count=1",
      "PractitionerRole?_id=r&_count=1",
      "Device?_id=-&_count=1",
      "Organization?_id=lab&_count=1",
    ],
  });
  const kinds = (questions: readonly string[]) => questions.map((each) => each.replace(/_id=[^&]*&.*/u, ""));
  for (const [consents, there] of [
    [[], []],
    [[naming("1", "ann", "Practitioner/x", "Patient/ann")], []],
    [some, []],
    [some, rows],
    [[naming("1", "ann", "CareTeam/absent")], rows],
  ] as const)
    expect(kinds((await named(consents, there)).questions)).toEqual(kinds(padding));
  expect((await named([], [])).questions).toEqual(padding);
});

test("what is read for a Consent ends after forty resources, and a patient's Consents share four hundred", async ({
  expect,
}) => {
  const many = Array.from({ length: 41 }, (_, index) => group(`g${index}`, "Practitioner/p"));
  const actors = many.map(({ id }) => `Group/${id}`);
  const [found = []] = (await named([naming("1", "ann", ...actors)], many)).names;
  expect(found.filter((each) => each === "Practitioner/p").length).toBe(40);
  const twenty = Array.from({ length: 20 }, (_, index) => naming(`${index}`, "ann", ...actors));
  const { names } = await named([...twenty, naming("other", "ben", ...actors)], many);
  const known = names.map((each = []) => each.filter((name) => name === "Practitioner/p").length);
  expect(known, "a further patient's Consents take nothing").toEqual([...twenty.map(() => 20), 40]);
});

test("an origin that does not answer ends the reading, and two rows with one id are nobody known", async ({
  expect,
}) => {
  await expect(named([naming("1", "ann", "Group/a")], "down")).rejects.toThrow("origin_unreachable");
  const twice = [group("a", "Practitioner/p"), group("a", "Practitioner/q")];
  expect((await named([naming("1", "ann", "Group/a")], twice)).names).toEqual([["?"]]);
});

test("an actor at whose resource the origin fails is nobody known, alone; a failing type ends the reading after some questions", async ({
  expect,
}) => {
  const groups = Array.from({ length: 30 }, (_, index) => group(`g${index}`, "Practitioner/p"));
  const consents = groups.map(({ id }) => naming(id, `of-${id}`, `Group/${id}`));
  const failing = { g3: 500, g28: 500 };
  const { names } = await named(consents, groups, failing);
  expect(names.flat()).toEqual(groups.map(({ id }) => (id in failing ? "?" : "Practitioner/p")));
  const all = Object.fromEntries(groups.map(({ id }) => [id, 500]));
  await expect(named(consents, groups, all)).rejects.toThrow("origin_refused");
  const [few, down] = [groups.slice(0, 3), { g0: 500, g1: 500, g2: 500, "-": 500 }];
  await expect(named(consents.slice(0, 3), few, down)).rejects.toThrow("origin_refused");
  // a fault of the connection's own says nothing about a resource
  await expect(named(consents, groups, { g3: 502 })).rejects.toThrow("origin_refused");
  const [found] = (await named([naming("1", "ann", "Group/g3")], groups, { g3: 501 })).names;
  expect(found, "a server without the search").toEqual(["?"]);
});
