// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-92e3b74509fe3f33.js",
  "integrity": "sha384-aPOWdz9aMKgz/JBsdeIbqsylQ9Hxo+wB3giRh2yNpYgEWNNys81kEFFtiKQyht7F"
} as const;
