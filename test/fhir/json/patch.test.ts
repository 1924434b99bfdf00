import * as fc from "fast-check";
import { test } from "vitest";
import { readJson, type Json, type JsonObject } from "#fhir/json/json";
import { applyPatch, readPatch } from "#fhir/json/patch";
import { inLane } from "../../support/lane.ts";

function tree(value: unknown): Json {
  const read = readJson(new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value)));
  if (!read.ok) throw new Error("no JSON");
  return read.value;
}

function patched(document: unknown, operations: unknown): string {
  const patch = readPatch(tree(operations));
  if (!patch.ok) return patch.error.reason;
  const result = applyPatch(tree(document), patch.value);
  return result.ok ? JSON.stringify(result.value) : result.error.reason;
}

// RFC 6902, Appendix A: the document, the patch, and the result.
const examples: readonly (readonly [string, unknown, readonly object[], unknown])[] = [
  [
    "A.1 adding a member",
    { foo: "bar" },
    [{ op: "add", path: "/baz", value: "qux" }],
    { foo: "bar", baz: "qux" },
  ],
  [
    "A.2 adding an item",
    { foo: ["bar", "baz"] },
    [{ op: "add", path: "/foo/1", value: "qux" }],
    { foo: ["bar", "qux", "baz"] },
  ],
  ["A.3 removing a member", { baz: "qux", foo: "bar" }, [{ op: "remove", path: "/baz" }], { foo: "bar" }],
  [
    "A.4 removing an item",
    { foo: ["bar", "qux", "baz"] },
    [{ op: "remove", path: "/foo/1" }],
    { foo: ["bar", "baz"] },
  ],
  [
    "A.5 replacing a value",
    { baz: "qux", foo: "bar" },
    [{ op: "replace", path: "/baz", value: "boo" }],
    { baz: "boo", foo: "bar" },
  ],
  [
    "A.6 moving a value",
    { foo: { bar: "baz", waldo: "fred" }, qux: { corge: "grault" } },
    [{ op: "move", from: "/foo/waldo", path: "/qux/thud" }],
    { foo: { bar: "baz" }, qux: { corge: "grault", thud: "fred" } },
  ],
  [
    "A.7 moving an item",
    { foo: ["all", "grass", "cows", "eat"] },
    [{ op: "move", from: "/foo/1", path: "/foo/3" }],
    { foo: ["all", "cows", "eat", "grass"] },
  ],
  [
    "A.8 a test that holds",
    { baz: "qux", foo: ["a", 2, "c"] },
    [
      { op: "test", path: "/baz", value: "qux" },
      { op: "test", path: "/foo/1", value: 2 },
    ],
    { baz: "qux", foo: ["a", 2, "c"] },
  ],
  [
    "A.9 a test that does not",
    { baz: "qux" },
    [{ op: "test", path: "/baz", value: "bar" }],
    "patch_not_applicable",
  ],
  [
    "A.10 adding an object",
    { foo: "bar" },
    [{ op: "add", path: "/child", value: { grandchild: {} } }],
    { foo: "bar", child: { grandchild: {} } },
  ],
  [
    "A.11 unknown members",
    { foo: "bar" },
    [{ op: "add", path: "/baz", value: "qux", xyz: 123 }],
    { foo: "bar", baz: "qux" },
  ],
  [
    "A.12 adding to an absent parent",
    { foo: "bar" },
    [{ op: "add", path: "/baz/bat", value: "qux" }],
    "patch_not_applicable",
  ],
  ["A.14 escapes", { "/": 9, "~1": 10 }, [{ op: "test", path: "/~01", value: 10 }], { "/": 9, "~1": 10 }],
  [
    "A.15 strings are no numbers",
    { "/": 9, "~1": 10 },
    [{ op: "test", path: "/~01", value: "10" }],
    "patch_not_applicable",
  ],
  [
    "A.16 adding an array value",
    { foo: ["bar"] },
    [{ op: "add", path: "/foo/-", value: ["abc", "def"] }],
    { foo: ["bar", ["abc", "def"]] },
  ],
];

test.for(examples)("RFC 6902 %s", ([, document, operations, expected], { expect }) => {
  expect(patched(document, operations)).toBe(
    typeof expected === "string" ? expected : JSON.stringify(expected),
  );
});

test("RFC 6902 A.13: a patch with a repeated member is refused as JSON", ({ expect }) => {
  expect(
    readJson(new TextEncoder().encode('[{ "op": "add", "path": "/baz", "value": "qux", "op": "remove" }]'))
      .ok,
  ).toBe(false);
});

test("an operation on an absent location fails, and the whole patch with it", ({ expect }) => {
  const document = { foo: ["a"], bar: { x: 1 }, empty: null };
  const wrong = [
    [{ op: "replace", path: "/nowhere", value: 1 }],
    [{ op: "remove", path: "/foo/1" }],
    [{ op: "remove", path: "/foo/-" }],
    [{ op: "replace", path: "/foo/00", value: 1 }],
    [{ op: "add", path: "/foo/2", value: 1 }],
    [{ op: "add", path: "/foo/a", value: 1 }],
    [{ op: "move", from: "/bar", path: "/bar/x" }],
    [{ op: "copy", from: "/nowhere", path: "/bar/y" }],
    [{ op: "remove", path: "" }],
    [{ op: "test", path: "/constructor", value: 1 }],
    [
      { op: "add", path: "/first", value: 1 },
      { op: "test", path: "/first", value: 2 },
    ],
  ];
  for (const operations of wrong)
    expect(patched(document, operations), JSON.stringify(operations)).toBe("patch_not_applicable");
  expect(patched(document, [{ op: "replace", path: "", value: { foo: 1 } }])).toBe('{"foo":1}');
  expect(patched(document, [{ op: "add", path: "/__proto__", value: 1 }])).toContain('"__proto__":1');
});

test("a malformed JSON Patch is refused", ({ expect }) => {
  const wrong = [
    {},
    [[]],
    [{ op: "add", path: "/a" }],
    [{ op: "add", path: "a", value: 1 }],
    [{ op: "add", path: "/~2", value: 1 }],
    [{ op: "spam", path: "/a", value: 1 }],
    [{ op: "copy", path: "/a" }],
    [{ op: "add", path: `/${"a/".repeat(101)}`, value: 1 }],
    Array.from({ length: 201 }, () => ({ op: "test", path: "", value: {} })),
  ];
  for (const operations of wrong)
    expect(patched({}, operations), JSON.stringify(operations).slice(0, 60)).toBe("patch_malformed");
});

test("numbers are compared digit by digit, and keep their digits", ({ expect }) => {
  expect(patched('{"a":1.10}', '[{"op":"test","path":"/a","value":1.1}]')).toBe("patch_not_applicable");
  expect(
    patched('{"a":1.10}', '[{"op":"test","path":"/a","value":1.10},{"op":"copy","from":"/a","path":"/b"}]'),
  ).toBe('{"a":1.10,"b":1.10}');
});

test("copies that double do not fill the memory", ({ expect }) => {
  const operations = Array.from({ length: 60 }, (_, at) => ({ op: "copy", from: "/a", path: `/a/x${at}` }));
  expect(patched({ a: { b: {} } }, operations)).toBe("patch_exceeds_limits");
});

const nested = (depth: number): unknown => (depth === 0 ? "deep" : [nested(depth - 1)]);

test("copied text counts, and a value placed too deep is refused", ({ expect }) => {
  const text = { a: "x".repeat(1_000_000), b: [] };
  const copies = (number: number) =>
    Array.from({ length: number }, () => ({ op: "copy", from: "/a", path: "/b/-" }));
  expect(patched(text, copies(10)).length).toBeGreaterThan(10_000_000);
  expect(patched(text, copies(20))).toBe("patch_exceeds_limits");

  const path = "/0".repeat(49);
  expect(patched(nested(50), [{ op: "replace", path, value: nested(51) }])).toContain("deep");
  for (const operation of [
    { op: "replace", path, value: nested(52) },
    { op: "copy", from: "/0", path: `/0${path}` },
    { op: "add", path: `${path}/-`, value: nested(51) },
  ])
    expect(patched(nested(52), [operation]), operation.op).toBe("patch_exceeds_limits");
  const moved = [{ op: "move", from: "/a", path: `/b${path}/-` }];
  expect(patched({ a: nested(49), b: nested(50) }, moved)).toContain("deep");
  expect(patched({ a: nested(50), b: nested(50) }, moved)).toBe("patch_exceeds_limits");
});

/** Counts how often the members of an object are listed. */
function listed(object: JsonObject): { readonly object: JsonObject; readonly times: () => number } {
  let times = 0;
  const ownKeys = (target: JsonObject) => {
    times += 1;
    return Reflect.ownKeys(target);
  };
  return { object: new Proxy(object, { ownKeys }), times: () => times };
}

test("two hundred operations on a long object or list copy it only once", ({ expect }) => {
  const members = Object.fromEntries(Array.from({ length: 60_000 }, (_, n) => [`m${n}`, n % 2 === 0]));
  const { object, times } = listed(tree(members) as JsonObject);
  const read = readPatch(
    tree(Array.from({ length: 200 }, (_, n) => ({ op: "replace", path: `/m${n}`, value: "new" }))),
  );
  if (!read.ok) throw new Error("no patch");
  expect(applyPatch(object, read.value)).toMatchObject({
    ok: true,
    value: { m0: "new", m199: "new", m200: true },
  });
  expect(times()).toBeLessThanOrEqual(2);
  // 200 copies of it would be 320 MB.
  const list = Array.from({ length: 200_000 }, () => true);
  expect(
    patched(
      list,
      Array.from({ length: 200 }, () => ({ op: "add", path: "/0", value: "new" })),
    ).startsWith('["new","new"'),
  ).toBe(true);
  expect(
    patched(Object.fromEntries(Array.from({ length: 600_000 }, (_, n) => [`${n}`, 1])), [
      { op: "remove", path: "/1" },
    ]),
  ).toBe("patch_exceeds_limits");
});

/**
 * An independent reading of RFC 6902, which copies everything each time; undefined if the patch does not
 * apply.
 */
function twin(document: unknown, operations: readonly Operation[]): unknown {
  let whole: unknown = structuredClone(document);
  const fail = (): never => {
    throw new RangeError("not applied");
  };
  const inside = (value: unknown, token: string): unknown => {
    if (Array.isArray(value)) return /^\d+$/u.test(token) ? value[Number(token)] : undefined;
    return typeof value === "object" && value !== null && Object.hasOwn(value, token)
      ? (value as Record<string, unknown>)[token]
      : undefined;
  };
  const valueAt = (path: string): unknown => path.split("/").slice(1).reduce(inside, whole) ?? fail();
  const holderOf = (path: string): readonly [holder: unknown, token: string] => [
    path.lastIndexOf("/") === 0 ? whole : valueAt(path.slice(0, path.lastIndexOf("/"))),
    path.slice(path.lastIndexOf("/") + 1),
  ];
  const remove = (path: string) => {
    if (path === "") fail();
    valueAt(path);
    const [holder, token] = holderOf(path);
    if (Array.isArray(holder)) holder.splice(Number(token), 1);
    else delete (holder as Record<string, unknown>)[token];
  };
  const add = (path: string, value: unknown) => {
    if (path === "") return void (whole = value);
    const [holder, token] = holderOf(path);
    if (Array.isArray(holder)) {
      const index = token === "-" ? holder.length : /^\d+$/u.test(token) ? Number(token) : -1;
      if (index < 0 || index > holder.length) fail();
      holder.splice(index, 0, value);
    } else if (typeof holder === "object" && holder !== null)
      (holder as Record<string, unknown>)[token] = value;
    else fail();
  };
  for (const { op, path, from = "", value } of operations) {
    if (op === "add") add(path, structuredClone(value));
    else if (op === "remove") remove(path);
    else if (op === "replace") {
      if (path !== "") valueAt(path);
      if (path !== "" && Array.isArray(holderOf(path)[0]))
        (holderOf(path)[0] as unknown[])[Number(holderOf(path)[1])] = structuredClone(value);
      else add(path, structuredClone(value));
    } else if (op === "copy") add(path, structuredClone(from === "" ? whole : valueAt(from)));
    else if (op === "move") {
      const moved = from === "" ? whole : valueAt(from);
      if (from !== path && `${path}/`.startsWith(`${from}/`)) fail();
      if (from !== "") remove(from);
      add(path, moved);
    }
  }
  return whole;
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly from?: string;
  readonly value?: unknown;
}

test("patches agree with an independent reading of RFC 6902, and leave the original tree unchanged", ({
  expect,
}) => {
  const step = fc.constantFrom("a", "b", "0", "1", "-");
  const path = fc.array(step, { maxLength: 3 }).map((steps) => steps.map((one) => `/${one}`).join(""));
  const value = fc.letrec((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom("x", true),
      fc.array(tie("any"), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom("a", "b"), tie("any")),
    ),
  })).any;
  const operation: fc.Arbitrary<Operation> = fc.oneof(
    fc.record({ op: fc.constantFrom("add", "replace"), path, value }),
    fc.record({ op: fc.constant("remove"), path }),
    fc.record({ op: fc.constantFrom("copy", "move"), path, from: path }),
  );
  let applied = 0;
  fc.assert(
    fc.property(
      fc.record({ a: fc.array(value, { maxLength: 3 }), b: value }),
      fc.array(operation, { minLength: 1, maxLength: 4 }),
      (document, operations) => {
        const [before, read] = [tree(JSON.stringify(document)), readPatch(tree(operations))];
        if (!read.ok) throw new Error("no patch");
        const result = applyPatch(before, read.value);
        expect(before).toEqual(tree(JSON.stringify(document)));
        let expected: unknown;
        try {
          expected = twin(document, operations);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          expect(result.ok).toBe(false);
          return;
        }
        applied += 1;
        expect(result).toEqual({ ok: true, value: tree(JSON.stringify(expected)) });
      },
    ),
    { numRuns: inLane({ fast: 2_000, slow: 5_000, long: 5_000 }) },
  );
  expect(applied).toBeGreaterThan(25);
});

test("a replacing object is reported, and a copy replaces nothing", ({ expect }) => {
  const document = tree({ list: [{ id: "1" }, { id: "2" }] }) as JsonObject; // an object, as written
  const read = readPatch(
    tree([
      { op: "copy", from: "/list/0", path: "/list/-" },
      { op: "replace", path: "/list/0/id", value: "one" },
      { op: "move", from: "/list/1", path: "/list/0" },
      { op: "replace", path: "/list/1", value: { id: "whole" } },
    ]),
  );
  if (!read.ok) throw new Error("no patch");
  const origins = new Map<JsonObject, JsonObject>();
  const result = applyPatch(document, read.value, (object, of) => void origins.set(object, of));
  if (!result.ok) throw new Error("not applied");
  const firstOf = (object: JsonObject): JsonObject => {
    const before = origins.get(object);
    return before === undefined ? object : firstOf(before);
  };
  const [before, after] = [
    document["list"] as readonly JsonObject[],
    (result.value as JsonObject)["list"] as readonly JsonObject[],
  ];
  expect(after.map((item) => before.indexOf(firstOf(item)))).toEqual([1, 0, -1]);
});
