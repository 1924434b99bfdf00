import { browserScript } from "./browser-bundle.ts";

const head = "// Made by scripts/accounting-script.ts from src/console/browser/check-accounting.ts.\n";

/** The files that `scripts/accounting-script.ts` writes, each with its text. */
export async function accountingScriptFiles(): Promise<readonly (readonly [path: string, text: string])[]> {
  const { path, integrity, text } = await browserScript(
    "console/browser/check-accounting.ts",
    "check-accounting",
  );
  const value = (name: string, members: object) =>
    `export const ${name} = ${JSON.stringify(members, undefined, 2)} as const;\n`;
  return [
    ["src/audit/accounting/page/check-script.gen.ts", `${head}${value("checkScript", { path, integrity })}`],
    [
      "src/platform/ledger/isolate/check-script.gen.ts",
      `${head}${value("servedCheckScript", { path, text })}`,
    ],
  ];
}
