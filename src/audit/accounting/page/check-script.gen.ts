// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-bce0ad6b780c9f86.js",
  "integrity": "sha384-hP2SnNJA/LSPkWsLho5IZzgFVlUZMNveb24RzT292CBWri7Gai+z3R5LNwfdqF3C"
} as const;
