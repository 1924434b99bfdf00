import * as fc from "fast-check";
import { test } from "vitest";
import * as z from "zod/mini";
import {
  anything,
  arrayOf,
  booleanValue,
  eitherOf,
  fitting,
  integerIn,
  literalOf,
  mapped,
  Misfit,
  mustFit,
  numberIn,
  objectOf,
  optional,
  passing,
  recordOf,
  strictObjectOf,
  textLike,
  textOf,
  variantOf,
  withDefault,
  type ValueShape,
} from "#kernel/value-shape";

/** Each shape, and its independent twin. */
const twins: readonly (readonly [ValueShape<unknown>, z.ZodMiniType])[] = [
  [textOf(), z.string()],
  [textOf(1, 2), z.string().check(z.minLength(1), z.maxLength(2))],
  [textLike(/^a+$/u), z.string().check(z.regex(/^a+$/u))],
  [passing(textOf(), (text) => text !== "a"), z.string().check(z.refine((text) => text !== "a"))],
  [numberIn(), z.number()],
  [numberIn(0, 3), z.number().check(z.minimum(0), z.maximum(3))],
  [integerIn(0, Infinity), z.int().check(z.minimum(0))],
  [literalOf(["a", 1, true, null]), z.literal(["a", 1, true, null])],
  [booleanValue, z.boolean()],
  [arrayOf(anything), z.array(z.unknown())],
  [
    arrayOf(integerIn(0, 3), 1, 2),
    z.array(z.int().check(z.minimum(0), z.maximum(3))).check(z.minLength(1), z.maxLength(2)),
  ],
  [recordOf(textOf()), z.record(z.string(), z.string())],
  [
    objectOf({ a: textOf(), b: optional(numberIn()) }),
    z.object({ a: z.string(), b: z.optional(z.number()) }),
  ],
  [
    strictObjectOf({ a: optional(textOf()), b: withDefault(numberIn(), 5) }),
    z.strictObject({ a: z.optional(z.string()), b: z._default(z.number(), 5) }),
  ],
  [
    eitherOf(
      mapped(textOf(), (text) => [text]),
      arrayOf(textOf()),
    ),
    z.union([
      z.pipe(
        z.string(),
        z.transform((text) => [text]),
      ),
      z.array(z.string()),
    ]),
  ],
  [
    variantOf("a", {
      a: objectOf({ a: literalOf(["a"]) }),
      b: strictObjectOf({ a: literalOf(["b"]), b: anything }),
    }),
    z.discriminatedUnion("a", [
      z.object({ a: z.literal("a") }),
      // nothing is also a value: a member of any value may be absent
      z.strictObject({ a: z.literal("b"), b: z.optional(z.unknown()) }),
    ]),
  ],
];

const leaf = fc.constantFrom<unknown>(
  "",
  "a",
  "aa",
  "b",
  "abc",
  0,
  1,
  3,
  4,
  -1,
  0.5,
  2 ** 53,
  NaN,
  Infinity,
  true,
  false,
  null,
);
const { value: json } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    leaf,
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom("a", "b", "c", "constructor", "toString"), tie("value"), {
      maxKeys: 3,
      noNullPrototype: true,
    }),
  ),
}));

test("a shape takes and refuses what a schema of zod takes and refuses, and reads the same value", ({
  expect,
}) => {
  const seen = { read: 0, refused: 0 };
  fc.assert(
    fc.property(json, fc.nat(twins.length - 1), (value, at) => {
      const [shape, schema] = twins[at] ?? [anything, z.unknown()];
      const [read, twin] = [shape(value), schema.safeParse(value)];
      expect(read instanceof Misfit).toBe(!twin.success);
      if (twin.success) expect(read).toEqual(twin.data);
      seen[twin.success ? "read" : "refused"] += 1;
    }),
    { numRuns: 5_000 },
  );
  expect(Math.min(seen.read, seen.refused), "both verdicts occur").toBeGreaterThan(60);
});

test("a problem names its place and never quotes the value", ({ expect }) => {
  const shape = objectOf({ list: arrayOf(strictObjectOf({ name: textOf(1, 3) })) });
  const place = (value: unknown) => {
    const read = shape(value);
    return read instanceof Misfit ? read.path.join("/") : undefined;
  };
  expect(place({ list: [{ name: "ann" }, { name: "secret" }] })).toBe("list/1/name");
  expect(place({ list: [{ name: "ann", other: 1 }] })).toBe("list/0/other");
  expect(place([])).toBe("");
  expect(() => mustFit(shape({ list: [{ name: "secret" }] }))).toThrow(/^list\/0\/name must be a text/u);
  expect(() => mustFit(shape({ list: [{ name: "secret" }] }))).not.toThrow(/secret/u);
  expect(fitting(shape({ list: "secret" }))).toBeUndefined();
});
