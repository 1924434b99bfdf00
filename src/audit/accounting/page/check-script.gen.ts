// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-e3cb163e31baba4b.js",
  "integrity": "sha384-Gg/vQhoD/+aKQLzGvTppQk2Y3/e83q0oLPwyfSdinUwVb8DRfN24u8Wl60T1bpDF"
} as const;
