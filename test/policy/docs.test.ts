import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { proveExamples } from "#authoring/prove-examples";
import { parsePolicyDocument } from "#policy/document";

test("the running example of docs/policy.md is publishable, and its examples are true", ({ expect }) => {
  const page = readFileSync(join(import.meta.dirname, "../../docs/policy.md"), "utf8");
  const body: unknown = JSON.parse(
    /```json\n(?<body>\{\n {2}"format"[\s\S]*?)```/u.exec(page)?.groups?.["body"] ?? "",
  );
  const document = parsePolicyDocument(body);
  if (!document.ok) return expect(document.error).toBeUndefined();
  expect(proveExamples(document.value)).toEqual([]);
  const hidden = structuredClone(document.value);
  for (const rule of hidden.rules)
    if (rule.show !== "everything") rule.show = rule.show.filter((path) => path !== "birthDate");
  expect(proveExamples(hidden)).toMatchObject([{ pointer: "/rules/0/examples/0" }]); // as the page says
});
