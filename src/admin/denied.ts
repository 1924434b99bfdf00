import { deniedCredential, denialName, type CredentialDenied } from "#identity/denial";
import type { SeenOfOperator } from "./operator.ts";

export interface SignInDenied {
  readonly reason: "token_denied" | "person_denied";
}

/**
 * Finds a denied credential of an operator, or that the operator is a denied person (P4): a denial of a lost credential
 * holds for every holder.
 */
export function denied(
  names: ReadonlySet<string>,
  certificate: string,
  { signIn, proof }: Pick<SeenOfOperator, "signIn" | "proof">,
): CredentialDenied | SignInDenied | undefined {
  const issuer = signIn?.issuer ?? "";
  const credentials = { client: "", certificate, proof, keyId: signIn?.keyId, issuer }; // no client has this id
  const credential = deniedCredential(names, credentials);
  if (credential !== undefined || signIn === undefined) return credential;
  const { subject, tokenId: id } = signIn;
  if (names.has(denialName({ kind: "token", issuer, id }))) return { reason: "token_denied" };
  return names.has(denialName({ kind: "person", issuer, subject })) ? { reason: "person_denied" } : undefined;
}
