// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-a600d3947f20842b.js",
  "integrity": "sha384-mrD2TDLUrakNKxDjGHGAcHNFsquLoyOv18DUR6ZsH/o37lIM2TIie4BBgHdzNI9I"
} as const;
