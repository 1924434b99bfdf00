// Writes each generated file whose sources are all in this repository, and formats the written pages:
// npm run generate. The tables of src/fhir/r4 need downloaded definitions: scripts/generate-r4-tables.ts.
import { runSteps } from "./run-steps.ts";

runSteps([
  ["node", "scripts/env-types.ts"],
  ["node", "scripts/generate-policy-schema.ts"],
  ["node", "scripts/generate-registry-schema.ts"],
  ["node", "scripts/deid-elements.ts"],
  ["node", "scripts/refusals-page.ts"],
  ["node", "scripts/observability.ts"],
  ["node", "scripts/command-page.ts"],
  ["node", "scripts/browser-assets.ts"],
  ["node", "scripts/draw-pictures.ts"],
  [
    "oxfmt",
    "docs/refusals.md",
    "docs/command.md",
    "docs/command.schema.json",
    "docs/policy.schema.json",
    "docs/registry.schema.json",
  ],
]);
