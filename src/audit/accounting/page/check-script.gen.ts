// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-6b84dad26362689b.js",
  "integrity": "sha384-h1wO6uZnIR2D59sjC9QwS/AHa+Bjto4h2i3id1aofHCY2j6its0cq+ziGdJjH4oE"
} as const;
