import { browserScript } from "./browser-bundle.ts";

const head = "// Made by scripts/accounting-script.ts from src/browser/check-accounting.ts.\n";

/** The files that `scripts/accounting-script.ts` writes, each with its text. */
export async function accountingScriptFiles(): Promise<readonly (readonly [path: string, text: string])[]> {
  const { path, integrity, text } = await browserScript("browser/check-accounting.ts", "check-accounting");
  const value = (members: object) =>
    `export const checkScript = ${JSON.stringify(members, undefined, 2)} as const;\n`;
  return [
    ["src/audit/accounting/page/check-script.gen.ts", `${head}${value({ path, integrity })}`],
    ["src/platform/ledger/isolate/check-script.gen.ts", `${head}${value({ path, text })}`],
  ];
}
