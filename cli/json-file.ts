import { readFileSync } from "node:fs";
import { err, ok, type Result } from "#kernel/result";

/** Reads a file as JSON. The error says why the file could not be read and never quotes its content. */
export function readJsonFile(file: string): Result<unknown, string> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return err("cannot be read: check its name and permissions");
  }
  try {
    return ok(JSON.parse(text));
  } catch {
    return err("is not JSON");
  }
}
