// Made by scripts/browser-assets.ts from src/console/browser and the ledger's own code.
export const checkScript = {
  "path": "check-accounting-a65068769e3e1cd3.js",
  "integrity": "sha384-lj2PBsgvDpi0DtY4iDE7kMvQd0tHA86/3shOfIIZiIixnKYQ/ISAKXyR4tYx5uu1"
} as const;
