import { test } from "vitest";
import { jsonPatched } from "../../../../sandbox/origin/write/json-patch.ts";

const parsed = (text: string): object => JSON.parse(text);

test("RFC 6902, appendix A: each example has the documented result", ({ expect }) => {
  for (const [name, document, patch, expected] of [
    ["A.1", '{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux"}]', '{"baz":"qux","foo":"bar"}'],
    [
      "A.2",
      '{"foo":["bar","baz"]}',
      '[{"op":"add","path":"/foo/1","value":"qux"}]',
      '{"foo":["bar","qux","baz"]}',
    ],
    ["A.3", '{"baz":"qux","foo":"bar"}', '[{"op":"remove","path":"/baz"}]', '{"foo":"bar"}'],
    ["A.4", '{"foo":["bar","qux","baz"]}', '[{"op":"remove","path":"/foo/1"}]', '{"foo":["bar","baz"]}'],
    [
      "A.5",
      '{"baz":"qux","foo":"bar"}',
      '[{"op":"replace","path":"/baz","value":"boo"}]',
      '{"baz":"boo","foo":"bar"}',
    ],
    [
      "A.6",
      '{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}',
      '[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]',
      '{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}',
    ],
    [
      "A.7",
      '{"foo":["all","grass","cows","eat"]}',
      '[{"op":"move","from":"/foo/1","path":"/foo/3"}]',
      '{"foo":["all","cows","eat","grass"]}',
    ],
    [
      "A.8",
      '{"baz":"qux","foo":["a",2,"c"]}',
      '[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]',
      '{"baz":"qux","foo":["a",2,"c"]}',
    ],
    ["A.9", '{"baz":"qux"}', '[{"op":"test","path":"/baz","value":"bar"}]', 422],
    [
      "A.10",
      '{"foo":"bar"}',
      '[{"op":"add","path":"/child","value":{"grandchild":{}}}]',
      '{"foo":"bar","child":{"grandchild":{}}}',
    ],
    [
      "A.11",
      '{"foo":"bar"}',
      '[{"op":"add","path":"/baz","value":"qux","xyz":123}]',
      '{"foo":"bar","baz":"qux"}',
    ],
    ["A.12", '{"foo":"bar"}', '[{"op":"add","path":"/baz/bat","value":"qux"}]', 422],
    ["A.14", '{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":10}]', '{"/":9,"~1":10}'],
    ["A.15", '{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":"10"}]', 422],
    [
      "A.16",
      '{"foo":["bar"]}',
      '[{"op":"add","path":"/foo/-","value":["abc","def"]}]',
      '{"foo":["bar",["abc","def"]]}',
    ],
    ["§4.1", '{"a":{"foo":1}}', '[{"op":"add","path":"","value":{"b":1}}]', '{"b":1}'],
    [
      "§4.5",
      '{"a":{"b":[1]}}',
      '[{"op":"copy","from":"/a","path":"/c"},{"op":"add","path":"/c/b/-","value":2}]',
      '{"a":{"b":[1]},"c":{"b":[1,2]}}',
    ],
    [
      "§4.6",
      '{"a":{"x":1,"y":[1.0,null]}}',
      '[{"op":"test","path":"/a","value":{"y":[1,null],"x":1}}]',
      '{"a":{"x":1,"y":[1,null]}}',
    ],
    [
      "RFC 6901 §5",
      '{"":0,"a/b":1,"m~n":8," ":7}',
      '[{"op":"test","path":"/","value":0},{"op":"test","path":"/a~1b","value":1},{"op":"test","path":"/m~0n","value":8},{"op":"remove","path":"/ "}]',
      '{"":0,"a/b":1,"m~n":8}',
    ],
  ] as const) {
    const apply = () => jsonPatched(parsed(document), parsed(patch));
    if (expected === 422) expect(apply, name).toThrow(expect.objectContaining({ status: 422 }));
    else expect(apply(), name).toEqual(parsed(expected));
  }
});

test("a patch changes neither the original document nor the patch itself", ({ expect }) => {
  const document = { list: [{ a: 1 }] };
  const value = { deep: [1] };
  const patch = [
    { op: "add", path: "/list/-", value },
    { op: "add", path: "/list/1/deep/-", value: 2 },
    { op: "remove", path: "/list/0" },
  ];
  expect(jsonPatched(document, patch)).toEqual({ list: [{ deep: [1, 2] }] });
  expect([document, value]).toEqual([{ list: [{ a: 1 }] }, { deep: [1] }]);
});
