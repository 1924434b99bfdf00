import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { test } from "vitest";
import { nameOf, optionsOf } from "../cli/commands/command.ts";
import { commands } from "../cli/commands/commands.ts";

const root = join(import.meta.dirname, "..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const pages = execFileSync("git", ["ls-files", "*.md"], { cwd: root, encoding: "utf8" })
  .split("\n")
  .filter((path) => path !== "" && existsSync(join(root, path)));
const withoutCode = (text: string) => text.replaceAll(/```[\s\S]*?```/gu, "");

/** The anchors of a page: GitHub's, made from its headings, and the page's explicit anchors. */
function anchorsOf(text: string): Set<string> {
  const headings = [...withoutCode(text).matchAll(/^#{1,6} +(?<title>.+)$/gmu)].map(({ groups }) =>
    (groups?.["title"] ?? "")
      .replaceAll(/\[(?<label>[^\]]*)\]\([^)]*\)/gu, "$<label>")
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\- _]/gu, "")
      .replaceAll(" ", "-"),
  );
  const set = [...text.matchAll(/<a id="(?<id>[^"]+)">/gu)].map(({ groups }) => groups?.["id"] ?? "");
  return new Set([...headings, ...set]);
}

test("each link of a page leads to a file and an anchor that exist", ({ expect }) => {
  const broken: string[] = [];
  for (const page of pages)
    for (const { groups } of withoutCode(read(page)).matchAll(/\]\((?<target>[^)\s]+)\)/gu)) {
      const target = groups?.["target"] ?? "";
      if (/^[a-z]+:/u.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? join(root, page) : resolve(root, dirname(page), path);
      const leads =
        existsSync(file) && (anchor === undefined || anchorsOf(readFileSync(file, "utf8")).has(anchor));
      if (!leads) broken.push(`${page}: ${target}`);
    }
  expect(broken).toEqual([]);
});

test("each source and test that a page names exists", ({ expect }) => {
  const named =
    /`(?<path>(?:src|test|sandbox|cli|scripts|workers|policies|bench|examples)\/[\w./-]+\.\w+)`/gu;
  const missing = pages
    .filter((page) => page !== "CHANGELOG.md") // it names the files of its day
    .flatMap((page) => [...read(page).matchAll(named)].map(({ groups }) => `${page}: ${groups?.["path"]}`))
    .filter((line) => !existsSync(join(root, line.slice(line.indexOf(": ") + 2))));
  expect(missing).toEqual([]);
});

test("the promises have the numbers P1 to P10 in the README and in docs/architecture.md, each with an anchor", ({
  expect,
}) => {
  const numbers = Array.from({ length: 10 }, (_, i) => `P${i + 1}`);
  const rows = (text: string) =>
    [...text.matchAll(/^(?:\||-) (?:<a id="p\d+"><\/a>)?(?<number>P\d+)[ :]/gmu)].map(
      ({ groups }) => groups?.["number"],
    );
  expect(rows(read("README.md"))).toEqual(numbers);
  expect(rows(read("docs/architecture.md"))).toEqual(numbers);
  const anchors = anchorsOf(read("docs/architecture.md"));
  expect(numbers.filter((number) => !anchors.has(number.toLowerCase()))).toEqual([]);
});

const decisions = readdirSync(join(root, "docs/adr")).filter((name) => /^\d{4}-/u.test(name));

test.for(decisions)("docs/adr/%s has a status and the sections of the template", (name, { expect }) => {
  const text = read(join("docs/adr", name));
  expect(text).toMatch(new RegExp(`^# ${Number(name.slice(0, 4))}\\. .+\n\nStatus: `, "u"));
  expect(/^Status: (?:Accepted, \d{4}-\d\d-\d\d|Superseded by \[ADR \d+\])/mu.test(text)).toBe(true);
  expect([...text.matchAll(/^## (?<title>.+)$/gmu)].map(({ groups }) => groups?.["title"])).toEqual([
    "Context",
    "Decision",
    "Consequences",
    "Tests that keep it true",
  ]);
});

test("each decision has a number of its own and one line in the index, and docs/README.md names each page", ({
  expect,
}) => {
  const titles = decisions.map((name) => /^# (\d+\. .+)$/mu.exec(read(join("docs/adr", name)))?.[1]);
  const index = [...read("docs/adr/README.md").matchAll(/^- \*\*(\d+)\*\* \[(.+?)\]\((\d.+?)\)/gmu)];
  expect(index.map(([, number, title]) => `${number}. ${title}`)).toEqual(titles);
  expect(index.map(([, , , name]) => name)).toEqual(decisions);
  expect(new Set(titles.map((title) => title?.split(".", 1)[0])).size).toBe(decisions.length);
  const map = read("docs/README.md");
  for (const name of readdirSync(join(root, "docs")).filter((file) => /\.(?:md|json)$/u.test(file)))
    if (name !== "README.md") expect(map).toContain(`(${name})`);
});

test("README.md names each client of the demonstration, and docs/starter-policies.md each starter policy", async ({
  expect,
}) => {
  const { demoClients } = await import("../sandbox/demo/demo-clients.ts");
  const [, section = ""] = read("README.md").split("## The demonstration's clients");
  const [table = ""] = section.split("\n## ", 1);
  const inReadme = [...table.matchAll(/^\| `(?<id>[a-z-]+)` +\|/gmu)].map(({ groups }) => groups?.["id"]);
  expect(inReadme).toEqual(demoClients.map(({ id }) => id));
  for (const file of readdirSync(join(root, "policies")))
    expect(read("docs/starter-policies.md")).toContain(`\`${file.replace(".json", "")}\``);
});

test("each page says in its first line for whom it is", ({ expect }) => {
  const first = (page: string) =>
    read(page)
      .split("\n")
      .find((line) => line !== "" && !line.startsWith("#"));
  const shown = pages.filter((page) => !/^docs\/adr\/\d|^CHANGELOG|^\.github\//u.test(page));
  expect(shown.filter((page) => !first(page)?.startsWith("For "))).toEqual([]);
});

test("no page cites a document that is not in the repository", ({ expect }) => {
  for (const page of pages) expect(read(page), page).not.toMatch(/DESIGN §|\bDESIGN\.md|CODE-STYLE/u);
});

test("each command that a page shows is a verb of phylax with options that it has", ({ expect }) => {
  const shown = pages
    .filter((page) => !/^CHANGELOG|^docs\/adr\//u.test(page)) // they name the commands of their day
    .flatMap((page) => {
      const text = read(page).replaceAll("\\\n", " ");
      const inline = [...withoutCode(text).matchAll(/`(?:npx --no )?phylax (?<rest>[a-z][^`]*)`/gu)];
      const lines = [...text.matchAll(/^(?:\$ )?npx --no phylax (?<rest>.*)$/gmu)];
      return [...inline, ...lines].map(({ groups }) => ({ page, rest: groups?.["rest"] ?? "" }));
    })
    .filter(({ rest }) => !/\bv1\b/u.test(rest)); // labels of keys, as `phylax configuration v1`
  expect(shown.length).toBeGreaterThan(100);
  const faults = shown.flatMap(({ page, rest }) => {
    const verb = commands.find((each) => `${rest} `.startsWith(`${nameOf(each)} `));
    if (verb === undefined) return [`${page}: phylax ${rest}: no such verb`];
    const options = (rest.slice(nameOf(verb).length).match(/(?<= )--[a-z][a-z-]*/gu) ?? []).filter(
      (option) => !optionsOf(verb).includes(option),
    );
    return options.map((option) => `${page}: phylax ${rest}: no ${option}`);
  });
  expect(faults).toEqual([]);
});

test("each TypeScript file that a page runs is run by scripts/with-node.mjs: Node 20 cannot run it", ({
  expect,
}) => {
  const shown = pages.filter((page) => page !== "CHANGELOG.md"); // it names the commands of its day
  const bare = shown.flatMap((page) =>
    [...read(page).matchAll(/\bnode (?:--[\w=-]+ )*[\w./-]+\.ts\b/gu)].map(
      ([command]) => `${page}: ${command}`,
    ),
  );
  expect(bare).toEqual([]);
});

test("no page runs a package of that name from npm: the command is called by `npx --no`", ({ expect }) => {
  const shown = pages.filter((page) => page !== "CHANGELOG.md"); // the changelog quotes old output
  expect(shown.filter((page) => /\bnpx phylax\b/u.test(read(page)))).toEqual([]);
});
