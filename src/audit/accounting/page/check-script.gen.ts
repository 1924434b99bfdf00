// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-80d16144c060584e.js",
  "integrity": "sha384-IGUfS+XNymdmbZi3HRUFzalvbeRQ/khAIPnjb2uqPMGkW5aYh1IY6m1AiZiXJ421"
} as const;
