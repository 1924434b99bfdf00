// Checks the packages: exact versions, a hash and an allowed licence for each, no known vulnerability of high
// severity. Writes the list of all packages as CycloneDX with `--sbom FILE`. Without a network, or at a registry
// that has no advisories, the audit is reported as not run; `--audit` makes that an error.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { supplyProblems, type LockFile, type Manifest } from "./supply-rules.ts";

const root = join(import.meta.dirname, "..");
const { values } = parseArgs({
  options: { sbom: { type: "string" }, audit: { type: "boolean", default: false } },
});
const manifest: Manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const lock: LockFile = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
const problems = [...supplyProblems(manifest, lock)];

const npm = (...args: readonly string[]) =>
  spawnSync("npm", args, { cwd: root, encoding: "utf8", maxBuffer: 67_108_864 });

const audit = npm("audit", "--json", "--audit-level=high");
const found: { readonly metadata?: { readonly vulnerabilities?: Readonly<Record<string, number>> } } = parsed(
  audit.stdout,
);
const counts = found.metadata?.vulnerabilities;
if (counts === undefined) {
  const why = audit.stderr.split("\n").find((line) => line.trim() !== "") ?? "no answer";
  console.log(`audit: not run, because the registry gave no advisories (${why})`);
  if (values.audit)
    problems.push(
      "the audit did not run: release only after it has run at a registry with advisories (npm config get registry)",
    );
} else {
  const bad = (counts["high"] ?? 0) + (counts["critical"] ?? 0);
  console.log(`audit: ${bad} of high or critical severity`);
  if (bad > 0)
    problems.push(`${bad} known vulnerabilities of high or critical severity: \`npm audit\` names them`);
}

if (values.sbom !== undefined) {
  const made = npm("sbom", "--sbom-format", "cyclonedx", "--package-lock-only");
  if (made.status === 0) writeFileSync(values.sbom, made.stdout);
  else problems.push(`npm sbom failed: ${made.stderr}`);
}
console.log(`packages: ${Object.keys(lock.packages).length - 1}, ${problems.length} problems`);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function parsed(text: string): object {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {}; // npm printed its error in words
  }
}
