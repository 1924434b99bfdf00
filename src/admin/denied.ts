import { deniedCredential, denialName, type CredentialDenied } from "#identity/denial";
import type { SeenOfOperator } from "./operator.ts";

export interface TokenDenied {
  readonly reason: "token_denied";
}

/** Finds a denied credential of an operator (P4): a denial of a lost credential holds for every holder. */
export function denied(
  names: ReadonlySet<string>,
  certificate: string,
  { signIn, proof }: Pick<SeenOfOperator, "signIn" | "proof">,
): CredentialDenied | TokenDenied | undefined {
  const issuer = signIn?.issuer ?? "";
  const credentials = { client: "", certificate, proof, keyId: signIn?.keyId, issuer }; // no client has this id
  const credential = deniedCredential(names, credentials);
  if (credential !== undefined || signIn === undefined) return credential;
  return names.has(denialName({ kind: "token", issuer, id: signIn.tokenId }))
    ? { reason: "token_denied" }
    : undefined;
}
