// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-9ec194d839398f78.js",
  "integrity": "sha384-iduzbWsQaJmXwGWB7RAisuOdwTQjaMF3GMXZwF9jBgy/A3mVrU6zE9b4GTVi7Tbg"
} as const;
