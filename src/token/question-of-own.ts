import type { ClientRecord } from "#identity/client";
import { err, ok, type Result } from "#kernel/result";
import { authenticateAsker, type ClientAuthenticationPorts } from "./authenticate-client.ts";
import { refuseCaller, type IssuerArrival, type IssuerTrailPorts, type KnownCaller } from "./issuer-trail.ts";
import { readOwnToken, type OwnToken, type OwnTokenPorts } from "./own-token.ts";
import { readTokenQuestion } from "./token-request.ts";

export type QuestionPorts = ClientAuthenticationPorts & OwnTokenPorts & IssuerTrailPorts;

/**
 * A proven client, and the token about which it asks. `own` is undefined if the token is not the client's
 * own.
 */
export interface QuestionOfOwn {
  readonly client: ClientRecord;
  readonly own: OwnToken | undefined;
  readonly who: KnownCaller;
}

/**
 * Reads the common part of introspection (RFC 7662 §2.1) and revocation (RFC 7009 §2.1). An error is the
 * answer, already on record.
 */
export async function questionOfOwn(
  arrival: IssuerArrival,
  ports: QuestionPorts,
): Promise<Result<QuestionOfOwn, Response>> {
  let who: KnownCaller = { certificate: undefined };
  const question = readTokenQuestion(arrival);
  if (!question.ok) return err(await refuseCaller(arrival, question.error, who, ports));
  const { tlsClientAuth, at } = arrival;
  const evidence = { credential: question.value.credential, tlsClientAuth, at };
  const proven = await authenticateAsker(evidence, ports, ({ x5t }) => (who = { certificate: x5t }));
  if (!proven.ok) return err(await refuseCaller(arrival, proven.error, who, ports));
  const { client } = proven.value;
  const ownToken = await readOwnToken(question.value.token, client, at, ports);
  return ok({ client, own: ownToken, who: { ...who, client, tokenId: ownToken?.token.id } });
}
