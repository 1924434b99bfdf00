import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folders = ["secrets", "auditors", "clients", "issuers", "pki"];

/**
 * The private values of a state folder: the private part of each key, as JWK and PEM write it, and each
 * secret's text.
 */
export function secretsKept(state: string): ReadonlySet<string> {
  const kept = new Set<string>();
  for (const folder of folders.map((name) => join(state, name)).filter((path) => existsSync(path))) {
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      for (const text of privatePartsOf(entry.name, readFileSync(join(entry.parentPath, entry.name), "utf8")))
        kept.add(text);
    }
  }
  return kept;
}

function privatePartsOf(name: string, text: string): readonly string[] {
  if (name.endsWith(".pem")) return [];
  if (text.includes("PRIVATE KEY"))
    // the first line begins alike in all keys
    return text.split("\n").filter((line, at) => at > 1 && line.length >= 40 && !line.startsWith("-"));
  if (!name.endsWith(".json")) return text.trim().length >= 16 ? [text.trim()] : [];
  return [...text.matchAll(/"d":\s*"(?<d>[^"]+)"/gu)].map(({ groups }) => groups?.["d"] ?? "");
}
