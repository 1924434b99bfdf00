// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-d559d05c77c5f081.js",
  "integrity": "sha384-h2hbErtaQDBbfU3HhkpCrlQxBP//LdsPgbyCu2AEEV4+0WW/QcmmN13IlWDJfxn7"
} as const;
