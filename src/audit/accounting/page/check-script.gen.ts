// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-f41b1dd45e9bb3d5.js",
  "integrity": "sha384-bng/tmJwmkH1EqFxgRzXGNvkjzxJeOBbugnZ8oi+b1Twm6ynoF0Hy58AENomaI4Z"
} as const;
