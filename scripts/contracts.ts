// Writes the contracts of the version in package.json to contracts/VERSION/contracts.json:
// node scripts/with-node.mjs scripts/contracts.ts
// A release commits this file; test/contracts.test.ts compares each later state with it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { contractsFile, presentContracts } from "../test/support/contracts.ts";

const { version }: { readonly version: string } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../package.json"), "utf8"),
);
const file = contractsFile(version);
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(presentContracts(), null, 1)}\n`);
console.log(`${file}: written; commit it with the release`);
