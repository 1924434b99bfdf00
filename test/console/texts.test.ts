import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "vitest";
import { parseAst } from "vitest/node";
import { child, children, isCall, nameOf, type Node, nodesBelow } from "../support/syntax-tree.ts";

/*
 * Every text for people stands in src/console/texts.ts, so that a further language is a further file. Commands for a
 * terminal are no language.
 */
const folder = join(import.meta.dirname, "../../src/console");
const sources = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".tsx") || /^browser\/.*\.ts$/u.test(name.replaceAll("\\", "/")))
  .map((name) => ({ name, text: readFileSync(join(folder, name), "utf8") }));

/** Attributes that people hear or read. */
const spoken = new Set(["aria-label", "placeholder", "title", "alt", "caption", "label"]);

/** Texts between tags, in attributes that people hear or read, and in elements that a script makes. */
function textsOutside(source: string, lang: "ts" | "tsx" = "tsx"): readonly string[] {
  const tree = parseAst(source, { lang }) as unknown as Node; // the parser's types are not exported
  const all = nodesBelow(tree);
  const commands = new Set(
    all.filter((node) => node.type === "JSXElement" && tagOf(node) === "pre").flatMap(nodesBelow),
  );
  const found = all.flatMap((node): readonly (string | undefined)[] => {
    if (commands.has(node)) return [];
    if (node.type === "JSXText") return [nameOf(node)];
    if (node.type === "JSXAttribute" && spoken.has(nameOf(child(node, "name")) ?? ""))
      return [nameOf(child(node, "value"))];
    if (!isCall(node)) return [];
    const shown = textsFrom[nameOf(child(node, "callee")) ?? ""];
    return shown === undefined ? [] : children(node, "arguments").slice(shown).map(literalOf);
  });
  return found.flatMap((text) => (text !== undefined && /[A-Za-z]{2}/u.test(text) ? [text.trim()] : []));
}

/** The first argument that is a text for people, by the function. */
const textsFrom: Readonly<Record<string, number>> = { make: 2, announce: 2, badge: 1 };
const literalOf = (node: Node): string | undefined => (node.type === "Literal" ? nameOf(node) : undefined);
const tagOf = (node: Node): string | undefined => nameOf(child(child(node, "openingElement"), "name"));

test("no page and no script of the console has a text of its own", ({ expect }) => {
  expect(sources.length).toBeGreaterThan(25);
  const found = sources.flatMap(({ name, text }) =>
    textsOutside(text, name.endsWith("x") ? "tsx" : "ts").map((each) => `${name}: ${each}`),
  );
  expect(found).toEqual([]);
});

test.for([
  "<p>Nothing is left.</p>",
  '<p class="note">\n  Open the page again\n</p>',
  '<input aria-label="Search" />',
  'make("p", {}, "Nothing is left.")',
  'announce(banner, "bad", "That did not work")',
  "<h1>{title} of today</h1>",
  "<div>{isOpen ? <p>Open</p> : undefined}</div>",
])("the scan finds %j", (source, { expect }) => {
  expect(textsOutside(source)).toHaveLength(1);
});
