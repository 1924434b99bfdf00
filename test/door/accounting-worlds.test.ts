import type { Resource } from "@medplum/fhirtypes";
import { test } from "vitest";
import { starterPolicy } from "../support/outside.ts";
import { beyond, type Asking, type Comparison, type Question, type Seen } from "../support/two-worlds.ts";
import { worldsUnder } from "../support/worlds-under.ts";
import { restricted } from "../support/fhir-parts.ts";

// An accounting does not reveal whether a patient's record exists: not by its lines, its words, its links,
// nor by the record of its disclosure.

const worlds = worldsUnder(starterPolicy("patrqt").body);

const own = "ann"; // the patient of the individual's tokens
const address = [{ use: "home" as const, state: "MA", country: "US" }];
const replaces = (id: string) => [{ type: "replaces" as const, other: { reference: `Patient/${id}` } }];
const immunization = (id: string): Resource => ({
  resourceType: "Immunization",
  id,
  status: "completed",
  vaccineCode: { text: id },
  patient: { reference: `Patient/${own}` },
  occurrenceDateTime: "2026-01-01",
});
const rows = Array.from({ length: 5 }, (_, i) => immunization(`i${i}`));
const disclosed = rows.map(({ id }): Asking => ({ by: "public-health", path: `Immunization/${id}` }));
const accounting = `Patient/${own}/$disclosures?all=true&_count=4`;
const nextPage = (by: Question["by"]) => (before: readonly Seen[]) => {
  const { link } = JSON.parse(before.at(-1)?.body.toString("utf8") ?? "") as {
    link: { relation: string; url: string }[];
  };
  return { by, path: link.find(({ relation }) => relation === "next")?.url ?? "no next page" };
};
/**
 * The differences between the worlds. Each ledger has its own salts and keys, so proofs count by their
 * length. A record is sealed and names the patient's State, so records are left out.
 */
function visible({ one, other, differences }: Comparison) {
  const text = ({ body }: Seen) =>
    body
      .toString("utf8")
      .replaceAll(
        /(?<="valueBase64Binary":"|_page=|,)[\w+/=-]{100,}/gu,
        ({ length }) => `(${length} characters)`,
      );
  const bodies = one.flatMap((seen, i) =>
    other[i] !== undefined && text(seen) === text(other[i]) ? [] : [i],
  );
  return [...bodies, ...beyond(differences, { body: /./u, records: /^\/\d+\/event\/patients\/0\/state$/u })];
}

test("a labelled patient with links and an address, and a deleted patient, have the same accounting, line by line and leaf by leaf", async ({
  expect,
}) => {
  const ben: Resource = { resourceType: "Patient", id: "ben", link: replaces(own), address };
  const labelled: Resource = {
    resourceType: "Patient",
    id: own,
    meta: restricted,
    link: replaces("ben"),
    address,
  };
  const by = await worlds.by("patient");
  const asked: readonly Asking[] = [
    ...disclosed,
    { by: "privacy-officer", path: accounting },
    nextPage("privacy-officer"),
    { by: "privacy-officer", path: `Patient/${own}/$disclosures?summed=true&_format=text/csv` },
    { by, path: accounting },
    nextPage(by),
    { by, path: "Patient/ben/$disclosures" },
  ];
  const compared = await worlds.compare({ origin: [...rows, labelled, ben] }, { origin: rows }, asked);
  const { one } = compared;
  expect(visible(compared)).toEqual([]);
  expect(one.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200, 200, 200, 200, 200, 404]);
  expect(one[5]?.body.toString("utf8").match(/"recorded"/gu)).toHaveLength(4);
});

test("no accounting of the individual shows whether a linked record is absent, labelled, or does not link back", async ({
  expect,
}) => {
  const amara: Resource = { resourceType: "Patient", id: own, link: replaces("ben") };
  const by = await worlds.by("patient");
  const individual: readonly Asking[] = [...disclosed, { by, path: accounting }, nextPage(by)];
  const without = { origin: [...rows, amara] };
  for (const ben of [
    { resourceType: "Patient", id: "ben" } satisfies Resource,
    { resourceType: "Patient", id: "ben", meta: restricted } satisfies Resource,
  ]) {
    expect(visible(await worlds.compare({ origin: [...rows, amara, ben] }, without, individual))).toEqual([]);
  }
});
