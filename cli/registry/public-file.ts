import { hasPrivateKey } from "#identity/jose/private-keys";
import { UnusableFile } from "../misuse.ts";

/** Throws if a file for the registry has a private key. Ask it before the file is sent: the ledger records it. */
export function requirePublic(file: string, value: unknown): void {
  if (hasPrivateKey(value))
    throw new UnusableFile(
      `${file} has a private key, and was not sent: the registry takes the public half, which \`phylax keys public\` prints for a JWK`,
    );
}
