// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-bdf9c160ef48190e.js",
  "integrity": "sha384-TeUfG+6H54GQ2AX6qrDTEi/B2HYj1tjcCMtASGSGwyXw5m3GO3QA6CnV3sZzjBLb"
} as const;
