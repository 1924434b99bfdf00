// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-a9bc00a3df570fbd.js",
  "integrity": "sha384-bu3rsnnisrcuQC6SM2CLjzqb1VWLNtKp/FXkB+5+vhTqONDqznwABs6zl+1exUIF"
} as const;
