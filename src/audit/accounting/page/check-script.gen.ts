// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-e85df7667c0c5af4.js",
  "integrity": "sha384-RFdU20n3o4fgBke7VyPjhL6KFJA/vbtesH8bImQBSTw2hAziQv0W/JqhDlEkwupW"
} as const;
