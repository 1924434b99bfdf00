// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-aebab21731d38bba.js",
  "integrity": "sha384-lSWbQ7Ep9kuzHZ/W6NvYnJ78uAHbEk1TT7bSQ/TLQzE7RZCQeHRJ6T5o44vmD3UC"
} as const;
