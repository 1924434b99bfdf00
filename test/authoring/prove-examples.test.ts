import { test } from "vitest";
import { proveExamples } from "#authoring/prove-examples";
import { policy, rule } from "../policy/granting.ts";

const says = "What the test says.";
const problems = (
  ...examples: Parameters<typeof rule>[2] extends infer _
    ? NonNullable<NonNullable<Parameters<typeof rule>[2]>["examples"]>
    : never
) =>
  proveExamples(
    policy(
      rule(["Patient"], ["gender", "deceasedBoolean"], {
        where: [{ path: "meta.security", notIn: ["urn:s|R"] }],
        examples,
      }),
    ),
  );

test("an example of a request is proven by the evaluation", ({ expect }) => {
  expect(
    problems(
      { says, request: "Patient?gender=male", is: "permitted" },
      { says, request: "Patient?name=x", is: "refused" },
    ),
  ).toEqual([]);
  expect(problems({ says, request: "Patient?name=x", is: "permitted" })).toEqual([
    { pointer: "/rules/0/examples/0", problem: "the request is refused: parameter_hidden" },
  ]);
  expect(problems({ says, request: "Patient?gender=male", is: "refused" })).toEqual([
    { pointer: "/rules/0/examples/0", problem: "the request is permitted" },
  ]);
  expect(problems({ says, request: "Patient/1/$everything", is: "refused" })).toEqual([]);
  expect(problems({ says, request: "Patient/1/_history", is: "permitted" })).toEqual([]);
  expect(problems({ says, request: "Patient/1/$everything", is: "permitted" })).toEqual([
    { pointer: "/rules/0/examples/0", problem: "the request is refused: operation_not_granted" },
  ]);
});

test("an example of a resource is proven to the last element by the engine", ({ expect }) => {
  const resource = {
    resourceType: "Patient",
    id: "1",
    gender: "male",
    birthDate: "2000",
    multipleBirthInteger: 2,
  };
  const becomes = { resourceType: "Patient", gender: "male", id: "1" };
  expect(problems({ says, resource, becomes })).toEqual([]);
  expect(problems({ says, resource, becomes: { ...becomes, birthDate: "2000" } })).toMatchObject([
    { pointer: "/rules/0/examples/0" },
  ]);
  expect(problems({ says, resource, becomes: { resourceType: "Patient", id: "1" } })).toMatchObject([
    { pointer: "/rules/0/examples/0" },
  ]);
  expect(problems({ says, resource, becomes: "withheld" })).toMatchObject([
    { pointer: "/rules/0/examples/0" },
  ]);
});

test("withheld means that nothing leaves; an example of another type proves nothing", ({ expect }) => {
  const restricted = {
    resourceType: "Patient",
    id: "1",
    meta: { security: [{ system: "urn:s", code: "R" }] },
  };
  expect(problems({ says, resource: restricted, becomes: "withheld" })).toEqual([]);
  expect(problems({ says, resource: restricted, becomes: restricted })).toEqual([
    { pointer: "/rules/0/examples/0", problem: "the resource is withheld" },
  ]);
  expect(problems({ says, resource: { resourceType: "Device", id: "1" }, becomes: "withheld" })).toHaveLength(
    1,
  );
});

test("an example of a create is proven by the engine that creates", ({ expect }) => {
  const of = (creates: Readonly<Record<string, string>>, is: "permitted" | "refused") =>
    proveExamples(
      policy(
        rule(["Patient"], ["gender"], {
          interactions: ["create"],
          where: [{ path: "gender", in: ["female"] }],
          examples: [{ says, creates: { resourceType: "Patient", ...creates }, is }],
        }),
      ),
    ).map(({ problem }) => problem);
  expect(of({ gender: "female" }, "permitted")).toEqual([]);
  expect(of({ gender: "female" }, "refused")).toEqual(["it may be created"]);
  expect(of({ gender: "male" }, "refused")).toEqual([]);
  expect(of({ gender: "male" }, "permitted")).toEqual([
    "it may not be created: it is not a row that may be created",
  ]);
  expect(of({ gender: "female", birthDate: "2000" }, "permitted")).toEqual([
    "it may not be created: Patient.birthDate: This may not be written: the policy does not show this element. Leave it out.",
  ]);
  expect(of({ gender: "female", birthDate: "2000" }, "refused")).toEqual([]);
  expect(of({ resourceType: "Device" }, "refused")).toEqual([
    "the resource's type is not a type of this rule",
  ]);
});
