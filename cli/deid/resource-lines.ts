import { readFileSync } from "node:fs";
import { UnusableFile } from "../misuse.ts";

/** The texts of the resources of a file: each line of NDJSON, else the whole file, which may be a Bundle. */
export function resourceTexts(file: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(file, "utf8").replace(/^\uFEFF/u, "");
  } catch {
    throw new UnusableFile(`${file}: cannot be read: check its name and permissions`);
  }
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  const isOfLines = lines.length > 0 && lines.every((line) => /^\s*\{.*\}\s*$/u.test(line));
  return isOfLines ? lines : [text];
}
