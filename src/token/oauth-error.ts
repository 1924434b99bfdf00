import { facesOf, type ExactFaces } from "#entrypoint/faces-of";
import type { ClientAuthenticationRefusal } from "./authenticate-client.ts";
import type { DecisionRefusal } from "./decide.ts";
import type { TokenRequestRefusal } from "./token-request.ts";

export type TokenRefusal = TokenRequestRefusal | ClientAuthenticationRefusal | DecisionRefusal;

/** A reason without a row in the table of refusal reasons does not compile, nor a row without a reason. */
export const oauthErrors: ExactFaces<"token", TokenRefusal["reason"]> = facesOf("token");
