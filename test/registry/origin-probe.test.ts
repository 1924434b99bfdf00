import { test } from "vitest";
import type { OriginProbe } from "#registry/origin-probe";
import { probedOtherwise } from "#registry/origin-probe";
import type { OriginEntry } from "#registry/state";

const all = {
  updateAsCreate: true,
  honoursIfMatchOnUpdate: true,
  honoursIfNoneExist: true,
  searchByPost: true,
  elements: true,
  total: true,
  strict: true,
} as const;
const types = {
  Patient: { interactions: ["read" as const, "create" as const], search: ["name", "birthdate"] },
};
const entry: OriginEntry = {
  name: "main",
  url: "https://fhir.example/r4",
  alsoKnownAs: ["https://ehr.example/r4"],
  credentials: { kind: "none" },
  forwardClientCert: false,
  signInAt: undefined,
  transactions: "atomic",
  honoursIfMatchOnDelete: true,
  capabilities: { ...all, everything: "with-type", types },
};
const probe = (members: OriginProbe["members"], missing: string[] = []): OriginProbe => ({
  origin: "main",
  url: entry.url,
  wrote: true,
  members,
  missing,
  unproven: [],
});

test("a probe that finds each member of the entry, or more, or could not try a member, finds nothing otherwise", ({
  expect,
}) => {
  const { alsoKnownAs, transactions, honoursIfMatchOnDelete, capabilities } = entry;
  const same = { alsoKnownAs, transactions, honoursIfMatchOnDelete, capabilities };
  expect(probedOtherwise(entry, probe(same))).toEqual([]);
  expect(probedOtherwise(entry, probe({}))).toEqual([]);
  const { capabilities: _, transactions: __, ...less } = entry;
  expect(probedOtherwise(less, probe(same)), "the entry states less").toEqual([]);
});

test("each member of which the server does less than the entry states is named", ({ expect }) => {
  for (const name of ["updateAsCreate", "honoursIfNoneExist", "searchByPost", "strict", "total"] as const)
    expect(probedOtherwise(entry, probe({ capabilities: { [name]: false } }))).toEqual([
      `capabilities/${name}`,
    ]);
  expect(
    probedOtherwise(
      entry,
      probe(
        {
          alsoKnownAs: ["https://third.example/r4"],
          transactions: "partial",
          honoursIfMatchOnDelete: false,
          capabilities: {
            everything: "without-type",
            types: { Patient: { interactions: ["read"], search: ["name"] } },
          },
        },
        ["Patient:birthdate", "Patient:gender"],
      ),
    ),
  ).toEqual([
    "alsoKnownAs",
    "capabilities/everything",
    "capabilities/types/Patient/create",
    "capabilities/types/Patient/search/birthdate",
    "honoursIfMatchOnDelete",
    "transactions",
  ]);
  expect(probedOtherwise(entry, probe({ capabilities: { types: {} } }))).toEqual([
    "capabilities/types/Patient",
  ]);
});
