// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-2d84166e0ca2a601.js",
  "integrity": "sha384-faAi6K2qF6325oBYVQ7RPVSpPD91UELE1Ny+acNTA6FNtz5C4BECZCM6ekR3lMKH"
} as const;
