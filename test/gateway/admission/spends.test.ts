import { test } from "vitest";
import { recordsSpent, recordSpends } from "#gateway/admission/spends";
import { basesOfAnswer, disclose } from "../../phi/disclosing.ts";
import { policy, rule } from "../../policy/granting.ts";

const bases = basesOfAnswer();
const clinical = policy(rule(["Bundle", "Parameters", "List", "Observation", "Patient"], "everything"));
const who = {
  client: { id: "app" },
  issuer: "https://issuer.example",
  grant: {
    origin: "main",
    purpose: "TREAT",
    quotas: { default: { requests: 1, windowSeconds: 1 }, records: { records: 100, windowSeconds: 60 } },
  },
} as unknown as Parameters<typeof recordSpends>[0]; // only these members of a grant are counted

/** The cost of a read of a resource. */
function costOf(resource: {
  readonly resourceType: string;
  readonly id: string;
  readonly [name: string]: unknown;
}) {
  const disclosed = disclose(
    new TextEncoder().encode(JSON.stringify(resource)),
    clinical,
    `${resource.resourceType}/${resource.id}`,
    bases,
  );
  if (!disclosed.ok) throw new Error(disclosed.error.reason);
  const { withheldPaths, ...window } = disclosed.value;
  return recordSpends(who, recordsSpent({ windows: [window], withheldPaths, released: new Set() }))[0]?.many;
}
const observation = (id: string, more: object = {}) => ({
  resourceType: "Observation",
  id,
  status: "final",
  code: { text: "x" },
  ...more,
});
const bundle = (id: string, inside: readonly unknown[]) => ({
  resourceType: "Bundle",
  id,
  type: "collection",
  entry: inside.map((resource) => ({ fullUrl: "urn:uuid:1", resource })),
});

test("each resource that leaves costs a record, in a Bundle, in Parameters and contained, at whatever depth", ({
  expect,
}) => {
  expect(costOf(observation("o"))).toBe(1);
  expect(
    costOf(
      bundle(
        "b",
        Array.from({ length: 20 }, (_, i) => observation(String(i))),
      ),
    ),
  ).toBe(21);
  const contained = observation("o", {
    contained: [observation("c"), observation("d")],
    hasMember: [{ reference: "#c" }, { reference: "#d" }],
  });
  expect(costOf(contained)).toBe(3);
  expect(
    costOf({
      resourceType: "Parameters",
      id: "p",
      parameter: [
        { name: "a", resource: contained },
        { name: "b", part: [{ name: "c", resource: observation("x") }] },
      ],
    }),
  ).toBe(5);
  expect(costOf(bundle("b", [bundle("c", [contained, bundle("d", [observation("e")])])]))).toBe(7);
});

test("undisclosed resources cost nothing", ({ expect }) => {
  expect(
    costOf(
      bundle("b", [
        observation("o"),
        { resourceType: "Condition", id: "hidden", code: { text: "no rule shows it" } },
      ]),
    ),
  ).toBe(2);
  const searched = disclose(
    new TextEncoder().encode(JSON.stringify({ ...bundle("s", []), type: "searchset" })),
    clinical,
    "Observation?code=x",
    bases,
  );
  if (!searched.ok) throw new Error(searched.error.reason);
  expect(
    recordSpends(who, recordsSpent({ windows: [searched.value], withheldPaths: [], released: new Set() })),
  ).toEqual([]);
});
