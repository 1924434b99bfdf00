import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { denialGrounds } from "#registry/case-document";
import { basisText, letterFrom, letterParts } from "#registry/cases/case-letter";

const example = readFileSync(join(import.meta.dirname, "../../../examples/letters/denial.txt"), "utf8");
const template = example.replaceAll(/\[[^\]]*\]/gu, "Records Office");
const facts = { today: "2026-12-02", received: "2026-11-02", case: "a", basis: "It is right." };
const written = (text: string) => letterFrom(text, letterParts.denial, facts);

test("a letter of denial has each part of 164.526(d)(1), or it is not written", ({ expect }) => {
  expect(written(template)).toContain("It is right.");
  for (const { clause } of letterParts.denial) {
    expect(() => written(template.replace(`<!-- ${clause} -->`, "")), clause).toThrow(clause);
    expect(() => written(`${template}<!-- ${clause} -->\nagain`), clause).toThrow(clause);
  }
  expect(() => written(template.replace("{basis}", "")), "no basis").toThrow("(d)(1)(i)");
  expect(() => written(template.replace("1-800-368-1019", "")), "no telephone number").toThrow("(d)(1)(iv)");
  expect(() => written(example), "a place of the example").toThrow("not filled");
  expect(() => written(`${template} {name}`), "an unknown fact").toThrow("{name}");
});

test("each ground has its words, and facts are no template", ({ expect }) => {
  expect(new Set(denialGrounds.map((ground) => basisText([ground], ""))).size).toBe(4);
  const basis = "{case} [a place] <!-- a part -->";
  expect(letterFrom(template, letterParts.denial, { ...facts, basis })).toContain(basis);
});
