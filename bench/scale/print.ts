// `npm run scale`: prints the tables of docs/scale.md and bench/scale.md, from the ledger's own code, its
// simulations and the measured figures.
import { measureSizes } from "../ledger/sizes.ts";
import { asMarkdown, scaleTables, sustained } from "./tables.ts";

for (const table of scaleTables(await measureSizes())) console.log(`${asMarkdown(table)}\n`);
console.log(`${sustained} disclosures each second, for ever, fill the shelves`);
