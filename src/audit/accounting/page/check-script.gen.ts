// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-dcb91cb853482977.js",
  "integrity": "sha384-Ybf0rngB4I2c2Pst1SoIg3iaWbg9UAOMhRHerhOikpkMoqaE8/LkyigFlLK1XWVz"
} as const;
