import { readFileSync } from "node:fs";
import { err, ok, type Result } from "#kernel/result";

/** What a file holds as JSON, or why it holds none; its words are not repeated. */
export function readJsonFile(file: string): Result<unknown, string> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return err("cannot be read");
  }
  try {
    return ok(JSON.parse(text));
  } catch {
    return err("is no JSON");
  }
}
