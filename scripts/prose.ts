// Measures how plainly the repository speaks: the comments of its TypeScript and the text of its Markdown.
//   node scripts/with-node.mjs scripts/prose.ts [--worst N] [PATH…]
//     prints the figures of each area, then of the N files with most to gain
//   node scripts/with-node.mjs scripts/prose.ts --check
//     fails where an area, a file or a total exceeds the limits
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/**
 * The limits. Well-read open-source TypeScript has 0.4–0.8 vague pronouns per 100 words and 0–1 % fronted
 * sentences.
 */
const limits = { vague: 1.5, fronted: 3 } as const;
/** An area or a file of fewer words counts in the total alone: a single sentence would decide. */
const wordsJudged = 200;

/**
 * Areas that do not meet the limits yet. The list only shrinks: `--check` refuses an area here that meets
 * them.
 */
const unfinished: readonly string[] = [];

const advice =
  "Begin a sentence with its subject, and write the noun in place of the pronoun. " +
  "`node scripts/with-node.mjs scripts/prose.ts --worst 20 PATH` shows where.";

const fronted = /^(?:Of|By what|Whose|Whom|Whether|Who|What|Where|Likewise|The same)\b/u;
const vague = /\b(?:nobody|somebody|whoever|whom|whose|one|ones|those|what|others?|such|theirs|else)\b/giu;

export interface SourceText {
  readonly path: string;
  readonly text: string;
}

export interface Figures {
  readonly sentences: number;
  readonly words: number;
  /** Percent of the sentences that begin with a word other than their subject. */
  readonly fronted: number;
  /** Vague pronouns per 100 words. */
  readonly vague: number;
}

/** The comments of a TypeScript text, each as one paragraph. */
export function comments(text: string): string[] {
  const found: string[] = [];
  let lines: string[] = [];
  let isInBlock = false;
  const flush = (): void => {
    const joined = lines.join(" ").replaceAll(/\s+/gu, " ").trim();
    if (joined !== "") found.push(joined);
    lines = [];
  };
  for (const line of text.split("\n").map((each) => each.trim())) {
    const opened: string | undefined = isInBlock ? line : /^\/\*\*?(.*)/u.exec(line)?.[1];
    const slashed = /^\/\/[/!]?\s?(.*)/u.exec(line)?.[1];
    if (opened !== undefined) {
      if (!isInBlock) flush();
      const [words = "", ...rest] = opened.split("*/");
      lines.push(words.replace(/^\*+\s?/u, ""));
      isInBlock = rest.length === 0;
      if (!isInBlock) flush();
    } else if (slashed === undefined) {
      flush();
      const trailing = /[;{,)]\s+\/\/ (.*)$/u.exec(line)?.[1];
      if (trailing !== undefined) found.push(trailing);
    } else lines.push(slashed);
  }
  flush();
  return found;
}

/** The paragraphs and table cells of a Markdown text, without its code blocks. */
export function markdownProse(text: string): string[] {
  const blocks = text.replaceAll(/```.*?```/gsu, "").split(/\n\s*\n/u);
  const paragraphs = blocks.flatMap((block) => {
    const rows = block.split("\n").filter((row) => !/^\s*\|?[\s:|-]+\|?\s*$/u.test(row));
    if (rows.some((row) => row.trimStart().startsWith("|"))) return rows.flatMap((row) => row.split("|"));
    return [rows.join(" ")];
  });
  return paragraphs
    .map((paragraph) => paragraph.replaceAll(/\[([^\]]*)\]\([^)]*\)|[`*_#>]/gu, "$1").trim())
    .filter((paragraph) => paragraph !== "");
}

const followsAPronoun = new Set(
  (
    "a about above across after also alone already an and another any are as at be because before behind below " +
    "beneath between but by can cannot come comes could did do down during each either else even every few for " +
    "from had has have here how however if in inside into is its itself just less like many may might more most " +
    "must nor not now off on only onto or our out outside over per rather shall should since so some still than " +
    "that the their them then there these they this those though through thus till to too under unless until up " +
    "upon very was we were what when where whether which while who whose will with within without would yet you"
  ).split(" "),
);
const numbers = new Set("two three four five six seven eight nine ten eleven twelve".split(" "));

/**
 * Decides from the words around the pronoun or numeral (the only vague word with two meanings). It is a number
 * before a noun, before "of" and "or more", and next to another number. It stands for a noun everywhere apart
 * from that: before a verb, a preposition or the end of a clause. The next word is read as a verb if it ends
 * in a single s, because a singular noun seldom does.
 */
export function isNumber(before: string, after: string): boolean {
  const previous = /([\w'’]+)\W*$/u.exec(before)?.[1]?.toLowerCase() ?? "";
  if (previous === "no") return false;
  const isNumeral = (word: string): boolean => numbers.has(word) || /^\d/u.test(word);
  const next = /^[^\w'’]*([\w'’]+)/u.exec(after)?.[1]?.toLowerCase() ?? "";
  const beyondLinks = (words: string, link: RegExp): string => words.replace(link, "");
  if (isNumeral(/^\W*(\w*)/u.exec(beyondLinks(after, /^\W*(?:or|and|to)\b/iu))?.[1] ?? "")) return true;
  if (isNumeral(/(\w*)\W*$/u.exec(beyondLinks(before, /\b(?:or|and|to|but)\W*$/iu))?.[1] ?? "")) return true;
  if (/^ (?:of|or more|at a time|by one|per)\b/iu.test(after) || / by $/iu.test(before)) return true;
  if (!/^[ -][`"“(<#.$]*\w/u.test(after)) return false; // the end of a clause, or "one's"
  if (followsAPronoun.has(next)) return false;
  if (/^(?:the|this|that|each|every)$/u.test(previous) && /(?:ed|ing)$/u.test(next)) return false;
  return !/[^su]s$/u.test(next) || /(?:is|['’]s)$/u.test(next);
}

function vagueWords(sentence: string): number {
  return [...sentence.matchAll(vague)].filter(
    ({ 0: word, index }) =>
      word.toLowerCase() !== "one" ||
      !isNumber(sentence.slice(0, index), sentence.slice(index + word.length)),
  ).length;
}

const wordCount = (sentence: string): number => sentence.split(/\s+/u).filter((word) => word !== "").length;

export function figuresOf(paragraphs: readonly string[]): Figures {
  const sentences = paragraphs
    .flatMap((paragraph) => paragraph.split(/(?<=[.!?:])\s+(?=[A-Z`"(])/u))
    .filter((sentence) => wordCount(sentence) > 2);
  const sum = (of: (sentence: string) => number): number =>
    sentences.reduce((total, sentence) => total + of(sentence), 0);
  const words = sum(wordCount);
  return {
    sentences: sentences.length,
    words,
    fronted: (100 * sum((sentence) => (fronted.test(sentence) ? 1 : 0))) / Math.max(sentences.length, 1),
    vague: (100 * sum(vagueWords)) / Math.max(words, 1),
  };
}

const isMarkdown = (path: string): boolean => path.endsWith(".md");

/** The room in src and in test, otherwise the top folder; the folder of a Markdown page. */
export function areaOf(path: string): string {
  if (isMarkdown(path)) return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "root pages";
  const [top = "", second = "", third] = path.split("/");
  if (third !== undefined && (top === "src" || top === "test")) return `${top}/${second}`;
  return path.includes("/") ? top : "root";
}

function paragraphsOf({ path, text }: SourceText): string[] {
  return isMarkdown(path) ? markdownProse(text) : comments(text);
}

function byArea(files: readonly SourceText[]): Map<string, readonly SourceText[]> {
  return Map.groupBy(
    files.toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    ({ path }) => areaOf(path),
  );
}

const shown = ({ vague, fronted }: Figures): string =>
  `${vague.toFixed(2)} vague pronouns per 100 words, ${fronted.toFixed(1)} % fronted sentences`;
const isPlain = (figures: Figures): boolean =>
  figures.vague <= limits.vague && figures.fronted <= limits.fronted;

/**
 * Every complaint of `--check`: none where the files meet the limits and the list names exactly the areas
 * that do not.
 */
export function complaints(files: readonly SourceText[], listed: readonly string[]): string[] {
  const areas = new Map([
    ...byArea(files),
    ["all code", files.filter(({ path }) => !isMarkdown(path))] as const,
    ["all docs", files.filter(({ path }) => isMarkdown(path))] as const,
  ]);
  const found = listed
    .filter((area) => !areas.has(area))
    .map((area) => `${area} is in the list of unfinished areas and does not exist: delete it there`);
  for (const [area, members] of areas) {
    const single = area.startsWith("all ") ? [] : members; // a total repeats no file
    const exceeded = [
      { name: area, figures: figuresOf(members.flatMap(paragraphsOf)) },
      ...single.map((file) => ({ name: file.path, figures: figuresOf(paragraphsOf(file)) })),
    ].filter(({ figures }) => figures.words > wordsJudged && !isPlain(figures));
    if (!listed.includes(area))
      found.push(...exceeded.map(({ name, figures }) => `${name}: ${shown(figures)}`));
    else if (exceeded.length === 0)
      found.push(`${area} meets the limits: delete it from the list of unfinished areas in scripts/prose.ts`);
  }
  return found;
}

function tracked(paths: readonly string[]): SourceText[] {
  const listing = spawnSync("git", ["ls-files", "--", ...paths], { encoding: "utf8" });
  if (listing.status !== 0) throw new Error(`git ls-files failed: ${listing.stderr}`);
  return listing.stdout
    .split("\n")
    .filter((path) => /\.(?:ts|mts|tsx|md)$/u.test(path) && !/\.gen\.ts$|(?:^|\/)env\.d\.ts$/u.test(path))
    .map((path) => ({ path, text: readFileSync(path, "utf8") }));
}

function row(name: string, figures: Figures): string {
  const { sentences, words } = figures;
  const columns = [words / Math.max(sentences, 1), figures.fronted, figures.vague].map((figure, index) =>
    figure.toFixed(index === 2 ? 2 : 1).padStart(16),
  );
  return `${name.padEnd(28)}${String(sentences).padStart(10)}${columns.join("")}`;
}

function print(files: readonly SourceText[], worst: number): void {
  const figures = (members: readonly SourceText[]): Figures => figuresOf(members.flatMap(paragraphsOf));
  const headings = ["words/sentence", "fronted %", "vague/100 words"].map((heading) => heading.padStart(16));
  console.log(`${"".padEnd(28)}${"sentences".padStart(10)}${headings.join("")}`);
  for (const [area, members] of byArea(files)) console.log(row(area, figures(members)));
  console.log(row("all code", figures(files.filter(({ path }) => !isMarkdown(path)))));
  console.log(row("all docs", figures(files.filter(({ path }) => isMarkdown(path)))));
  const most = files
    .map((file) => ({ path: file.path, figures: figures([file]) }))
    .filter((file) => file.figures.words >= 40)
    .toSorted((a, b) => b.figures.vague - a.figures.vague);
  for (const file of most.slice(0, worst)) console.log(`${file.path}: ${shown(file.figures)}`);
}

if (import.meta.main) {
  const options = process.argv.slice(2);
  if (options[0] === "--check" && options.length === 1) {
    const found = complaints(tracked([]), unfinished);
    for (const complaint of found) console.error(complaint);
    if (found.length > 0) {
      console.error(
        `Limits: ${limits.vague} vague pronouns per 100 words, ${limits.fronted} % fronted. ${advice}`,
      );
      process.exitCode = 1;
    }
  } else {
    const at = options.indexOf("--worst");
    const worst = at === -1 ? 15 : Number(options.splice(at, 2)[1]);
    const unknown = options.find((option) => option.startsWith("-"));
    if (unknown !== undefined || !Number.isInteger(worst)) {
      console.error("Usage: node scripts/with-node.mjs scripts/prose.ts --check | [--worst N] [PATH…]");
      process.exitCode = 2;
    } else print(tracked(options), worst);
  }
}
