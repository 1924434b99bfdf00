import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { parsePolicyDocument, policyDigest, readPolicyDocument } from "#policy/document";
import { publishedPolicySchema } from "#policy/published-schema";
import type { PolicyRule } from "#policy/schema";
import { policy, rule } from "./granting.ts";

const problem = (body: unknown) => {
  const parsed = parsePolicyDocument(body);
  return parsed.ok ? undefined : parsed.error;
};
const shows = (types: PolicyRule["types"], ...show: string[]) => problem(policy(rule(types, show)));

test("a field that this version does not know makes the whole document unloadable, and is named", ({
  expect,
}) => {
  expect(problem({ ...policy(rule(["Patient"], ["gender"])), deny: [] })).toBeDefined();
  expect(problem(policy({ ...rule(["Patient"], ["gender"]), hide: ["name"] } as PolicyRule))).toMatchObject({
    pointer: "/rules/0",
  }); // the cast plants an unknown field
  expect(problem({ ...policy(rule(["Patient"], ["gender"])), format: "phylax.policy.v2" })).toMatchObject({
    pointer: "/format",
  });
  for (const body of [undefined, null, 1, "x", [], {}]) expect(problem(body)).toBeDefined();
});

test("what the schema refuses hides no problem of another part: an author mends all of them in one round", ({
  expect,
}) => {
  const problems = (body: unknown) => {
    const read = readPolicyDocument(body);
    return read.ok ? [] : read.error;
  };
  const wrong = rule(["Patient"], ["gender", "nickname"], { search: ["nope"] });
  const repeating = { operations: ["lastn", "lastn"] as const };
  const alone = problems({ ...policy(wrong), ...repeating });
  expect(alone.map(({ pointer }) => pointer)).toEqual(["/operations/1", "/rules/0/show/1"]);
  const short = { ...rule(["Patient"], ["gender"]), why: "short" };
  // beside a rule that the schema refuses, before it and behind it, and beside unknown and wrong members
  const broken = {
    ...policy(short, wrong, short),
    ...repeating,
    title: "",
    labels: { leave: 1 },
    surprise: 1,
  };
  const moved = alone.map(({ pointer, problem: text }) => ({
    pointer: pointer.replace("/rules/0", "/rules/1"),
    problem: text,
  }));
  const found = problems(broken);
  expect(found).toEqual(expect.arrayContaining(moved));
  expect(found.map(({ pointer }) => pointer).toSorted()).toEqual([
    "",
    "/labels/leave",
    "/operations/1",
    "/rules/0/why",
    "/rules/1/show/1",
    "/rules/2/why",
    "/title",
  ]);
  // a text that names another rule names it by its place in the document
  const twins = policy(short, rule(["Patient"], ["gender"]), rule(["Patient"], ["gender"]));
  expect(
    problems(twins)
      .map(({ problem: text }) => text)
      .join(),
  ).not.toContain("/rules/0");
  // what needs a part that is absent is not guessed
  expect(problems({ ...broken, purposes: [] }).map(({ pointer }) => pointer)).not.toContain("/operations/1");
});

test("an unknown or repeated operation is refused", ({ expect }) => {
  const granting = (...operations: string[]) =>
    problem({ ...policy(rule(["Patient"], ["gender"])), operations });
  expect(granting("everything", "lastn", "validate")).toBeUndefined();
  expect(granting("everything", "graphql")).toMatchObject({ pointer: "/operations/1" });
  expect(granting("lastn", "lastn")).toEqual({ pointer: "/operations/1", problem: "is there twice" });
});

test("a rule without why or examples is refused", ({ expect }) => {
  expect(problem(policy(rule(["Patient"], ["gender"], { why: "" })))).toMatchObject({
    pointer: "/rules/0/why",
  });
  expect(problem(policy(rule(["Patient"], ["gender"], { examples: [] })))).toMatchObject({
    pointer: "/rules/0/examples",
  });
});

test("a path that R4 does not know is refused where it stands", ({ expect }) => {
  expect(shows(["Patient"], "gender", "nickname")).toEqual({
    pointer: "/rules/0/show/1",
    problem: "Patient has no element nickname in R4",
  });
  expect(shows(["Patient"], "name.nickname")).toMatchObject({
    problem: "HumanName has no element nickname in R4",
  });
  expect(shows(["Patient"], "birthDate.year")).toBeDefined();
  expect(shows(["Patient"], "deceasedString")).toBeDefined();
  expect(shows(["Patient"], "constructor")).toBeDefined();
  expect(shows(["Patient", "Practitioner"], "maritalStatus")).toMatchObject({
    problem: "Practitioner has no element maritalStatus in R4",
  });
  expect(shows(["Observation"], "value[x].value")).toMatchObject({ pointer: "/rules/0/show/0" });
  expect(shows(["Patient"], "extension")).toMatchObject({ pointer: "/rules/0/show/0" });
  expect(shows(["Patient"], "name[code=x]")).toMatchObject({ problem: "HumanName has no code to slice by" });
  expect(shows(["Bundle"], "entry.resource.id")).toMatchObject({ pointer: "/rules/0/show/0" });
  for (const path of [
    "",
    "name.",
    ".name",
    "name..family",
    "Patient.name",
    "name[x",
    "identifier[system=]",
    "identifier[system=a b]",
    "name[0]",
    "*",
  ]) {
    expect(shows(["Patient"], path), path).toMatchObject({ pointer: "/rules/0/show/0" });
  }
});

test("an element shown without an element that an R4 invariant needs is refused, and the invariant is named", ({
  expect,
}) => {
  expect(shows(["Patient"], "telecom.value")?.problem).toContain("cpt-2");
  expect(shows(["Patient"], "telecom[system=phone].value")?.problem).toContain("cpt-2");
  expect(shows(["Patient"], "telecom.value", "telecom.system")).toBeUndefined();
  expect(shows(["Observation"], "valueQuantity.code")?.problem).toContain("qty-3");
  expect(shows(["DocumentReference"], "content.attachment.data")?.problem).toContain("att-1");
  expect(shows(["Group"], "member")?.problem).toContain("grp-1");
  expect(shows(["Group"], "member", "actual")).toBeUndefined();
});

test("an unknown or abstract purpose is refused", ({ expect }) => {
  expect(problem({ ...policy(rule(["Patient"], ["gender"])), purposes: ["TREATMENT"] })).toMatchObject({
    pointer: "/purposes/0",
  });
  expect(problem({ ...policy(rule(["Patient"], ["gender"])), purposes: ["PurposeOfUse"] })).toMatchObject({
    pointer: "/purposes/0",
  });
  expect(problem({ ...policy(rule(["Patient"], ["gender"])), purposes: ["TREAT", "TREAT"] })).toMatchObject({
    pointer: "/purposes/1",
  });
});

test("two rules for a type are disjoint by a single-valued element, or select rows by a repeating element", ({
  expect,
}) => {
  const act = "http://terminology.hl7.org/CodeSystem/v3-ActCode";
  const visits = (...codes: string[]) =>
    rule(["Encounter"], ["period"], {
      where: [{ path: "class", in: codes.map((code) => `${act}|${code}`) }],
    });
  expect(problem(policy(visits("AMB"), visits("EMER")))).toBeUndefined();
  expect(problem(policy(visits("AMB"), visits("EMER", "AMB")))).toMatchObject({ pointer: "/rules/1" });
  expect(problem(policy(visits("AMB"), rule(["Encounter"], ["period"])))).toMatchObject({
    pointer: "/rules/1",
  });
  expect(problem(policy(rule(["Encounter"], ["period"]), rule(["Encounter"], ["period"])))).toMatchObject({
    pointer: "/rules/1",
  });
  const kinds = (code: string) =>
    rule(["Observation"], ["code"], { where: [{ path: "category", in: [`urn:c|${code}`] }] });
  expect(problem(policy(kinds("a"), kinds("a")))).toBeUndefined();
});

test("a row condition names a coded element, and its codes as that element carries them", ({ expect }) => {
  const where = (path: string, ...codes: string[]) =>
    problem(policy(rule(["Observation"], ["code"], { where: [{ path, in: codes }] })));
  expect(where("category", "urn:c|lab")).toBeUndefined();
  expect(where("status", "final")).toBeUndefined();
  expect(where("category", "lab")).toMatchObject({ pointer: "/rules/0/where/0" });
  expect(where("status", "urn:s|final")).toMatchObject({ pointer: "/rules/0/where/0" });
  expect(where("subject", "urn:c|lab")).toMatchObject({ pointer: "/rules/0/where/0" });
  expect(where("value[x]", "urn:c|lab")).toMatchObject({ pointer: "/rules/0/where/0" });
  expect(where("flavour", "urn:c|lab")).toMatchObject({ pointer: "/rules/0/where/0" });
});

test("a policy may narrow the search parameters that its view allows, and never add one", ({ expect }) => {
  const searching = (...search: string[]) =>
    problem(policy(rule(["Patient"], ["gender", "name.family"], { search })));
  expect(searching("gender", "family", "_id")).toBeUndefined();
  expect(searching("gender", "birthdate")).toMatchObject({ pointer: "/rules/0/search/1" });
  expect(searching("phonetic")).toMatchObject({ pointer: "/rules/0/search/0" });
  // whether there is a date of death is shown always: it is a modifier
  expect(searching("deceased")).toBeUndefined();
  expect(searching("death-date")).toMatchObject({ pointer: "/rules/0/search/0" });
});

test("the digest identifies the content: the order of members has no effect, every further change has", async ({
  expect,
}) => {
  const document = policy(rule(["Patient"], ["gender"]));
  // the same members
  const shuffled = Object.fromEntries(Object.entries(document).reverse()) as typeof document;
  const digest = await policyDigest(document);
  expect(digest).toMatch(/^sha256:[0-9a-f]{64}$/u);
  expect(await policyDigest(shuffled)).toBe(digest);
  expect(await policyDigest({ ...document, title: "Another" })).not.toBe(digest);
  expect(await policyDigest(policy(rule(["Patient"], ["gender", "name"])))).not.toBe(
    await policyDigest(policy(rule(["Patient"], ["name", "gender"]))),
  );
});

test("docs/policy.schema.json is the schema that documents are read by", ({ expect }) => {
  const published: unknown = JSON.parse(
    readFileSync(join(import.meta.dirname, "../../docs/policy.schema.json"), "utf8"),
  );
  // on failure: npm run generate
  expect(published).toEqual(JSON.parse(JSON.stringify(publishedPolicySchema())));
});

test("the schema can be published as JSON Schema, strict in every object", ({ expect }) => {
  const schema = publishedPolicySchema();
  expect(schema).toMatchObject({
    type: "object",
    additionalProperties: false,
    required: ["format", "name", "title", "purposes", "rules"],
  });
  expect(JSON.stringify(schema)).toContain("notIn");
});
