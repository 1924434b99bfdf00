// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-0d2bb7c1faf672db.js",
  "integrity": "sha384-qhjXhOXJTBrqU3+HEZTWsFXChwPfmVAmV6selA0sAZAF713xI32jN8tgK2aJi20+"
} as const;
