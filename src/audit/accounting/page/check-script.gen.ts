// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-cadf69945965733f.js",
  "integrity": "sha384-IY5L047gKBw//HqsLj/k0qWZWhhSKqWFksVg9p/P+DoXEJTWzRNGElpPdszeqqHa"
} as const;
