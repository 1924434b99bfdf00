// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-420b9850f41d2c38.js",
  "integrity": "sha384-0EskTQG4VMnlX88EWtMRlILLxnxsqpZgrfKEmrBrC2BEyq47Bb6LH3/BUuiOICs+"
} as const;
