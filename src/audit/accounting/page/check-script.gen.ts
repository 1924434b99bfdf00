// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-22bd70c88fe44f54.js",
  "integrity": "sha384-YDHtKzWNbCMf2CtWO2xgJ4ye7aeHp2GDtA4MJRLcw4eL+xBdWQoDPC2qQgk51sT2"
} as const;
