import { sha256Base64url } from "#identity/jose/base64url";
import type { Certificate } from "#identity/certificate/certificate";
import { readExternalToken } from "#identity/external-token";
import type { Introspection, TrustedIssuer } from "#identity/issuer";
import type { CertificateHolders, IssuerDirectory, TokenVerifier } from "#identity/ports";
import type { ProvenToken, AccessTokenRefusal } from "#identity/token";
import { ageAt, instant, type Clock, type Instant } from "#kernel/clock";
import { err, ok, type Result } from "#kernel/result";
import type { AskServer } from "#platform/ask-server";
import { basicCredentials } from "./basic-credentials.ts";
import { signAssertion } from "./client-assertion.ts";
import { currentValue, namedSecret, type NamedSecrets } from "#platform/config/named-secret";
import { Newest } from "#kernel/memo";

export interface OpaqueTokenPorts {
  readonly issuers: IssuerDirectory;
  readonly holders: CertificateHolders;
  readonly ask: AskServer;
  readonly secrets: NamedSecrets;
  readonly clock: Clock;
  /** A FHIR base under each of the gateway's own names. */
  readonly namesOf?: (base: string) => readonly string[];
}

/** An issuer's answer about a token, by RFC 7662 §2.2. Plain data, not yet judged. */
type IssuerAnswer = Readonly<Record<string, unknown>>;

interface BelievedAnswer {
  readonly answer: IssuerAnswer;
  readonly characters: number;
  readonly asked: Instant;
  /** The end of its token. */
  readonly ends: Instant;
}

const charactersMax = 4_096;
// P4: a token that its issuer has revoked is refused within ten seconds.
const believedMilliseconds = 10_000;
// An answer has 64 KB at most.
const [answersMax, answerCharactersMax] = [1_000, 4_194_304];
// For each certificate in an isolate: made-up tokens must not become a flood at the issuer.
const questionsPerSecondMax = 100;

/**
 * Proves tokens that are not JWTs by asking their issuer (RFC 7662), and leaves JWTs to `jwts`. An opaque
 * token does not name its issuer, and no further server may see it. So it is shown only to the issuer with
 * introspection whose client has registered the certificate that comes with the token. Throws when that
 * issuer cannot be asked.
 */
export function withOpaqueTokens(jwts: TokenVerifier, ports: OpaqueTokenPorts): TokenVerifier {
  const answers = new Newest<BelievedAnswer>(answersMax, answerCharactersMax, ({ characters }) => characters);
  const questions = new Newest<{ readonly second: number; count: number }>(answersMax);

  /** Throws when a certificate asks more often than its share. */
  const count = ({ x5t }: Certificate, at: Instant) => {
    const second = Math.floor(at / 1_000);
    const known = questions.get(x5t);
    if (known?.second !== second) questions.set(x5t, { second, count: 1 });
    else if ((known.count += 1) > questionsPerSecondMax)
      throw new Error("too many opaque tokens of one certificate in a second");
  };

  const introspected = async (
    text: string,
    hash: string,
    issuer: TrustedIssuer,
    asks: Introspection,
    certificate: Certificate,
  ): Promise<IssuerAnswer> => {
    const name = `${hash} ${issuer.iss}`;
    const at = ports.clock();
    const known = answers.get(name);
    if (known !== undefined && ageAt(known.asked, at) < believedMilliseconds && at < known.ends)
      return known.answer;
    count(certificate, at);
    const issuerAnswer = await introspect(text, issuer, asks, ports);
    const ends =
      typeof issuerAnswer["exp"] === "number" ? issuerAnswer["exp"] * 1_000 : Number.POSITIVE_INFINITY;
    const { length: characters } = JSON.stringify(issuerAnswer);
    answers.set(name, { answer: issuerAnswer, characters, asked: at, ends: instant(ends) });
    return issuerAnswer;
  };

  return {
    async verify(token, expected) {
      const text = token.reveal();
      // also a broken JWT: no issuer may see it
      if (text.split(".").length === 3) return jwts.verify(token, expected);
      const { certificate, audience: base, at } = expected;
      if (certificate === undefined || text.length > charactersMax) return err({ reason: "jws_malformed" });
      const found = await issuerOf(certificate, ports);
      if (!found.ok) return found;
      const { issuer, introspection } = found.value;
      const hash = await sha256Base64url(text);
      const issuerAnswer = await introspected(text, hash, issuer, introspection, certificate);
      return judge(issuerAnswer, { text, hash, issuer, bases: ports.namesOf?.(base) ?? [base], at });
    },
  };
}

interface Knower {
  readonly issuer: TrustedIssuer;
  readonly introspection: Introspection;
}

async function issuerOf(
  { x5t }: Certificate,
  { holders, issuers }: OpaqueTokenPorts,
): Promise<Result<Knower, AccessTokenRefusal>> {
  const knowers: Knower[] = [];
  for (const iss of await holders.issuersOf(x5t)) {
    const issuer = await issuers.find(iss);
    if (issuer?.introspection !== undefined) knowers.push({ issuer, introspection: issuer.introspection });
  }
  const [only, ...others] = knowers;
  if (only === undefined) return err({ reason: "jws_malformed" });
  return others.length > 0 ? err({ reason: "issuer_ambiguous" }) : ok(only);
}

async function introspect(
  text: string,
  { iss }: TrustedIssuer,
  asks: Introspection,
  { ask, secrets, clock }: OpaqueTokenPorts,
): Promise<IssuerAnswer> {
  const { endpoint: url, clientId, credentials } = asks;
  const form = new URLSearchParams({ token: text, token_type_hint: "access_token" });
  const named = namedSecret(
    credentials.secret,
    [url],
    secrets,
    `credentials for introspection (${credentials.kind})`,
  );
  const secret = await currentValue(named);
  let authorization: string | undefined;
  switch (credentials.kind) {
    case "client_secret_basic":
      authorization = basicCredentials(clientId, secret);
      break;
    case "private_key_jwt": {
      const proof = await signAssertion({ clientId, audience: iss, key: secret, at: clock() });
      for (const [name, value] of Object.entries({ client_id: clientId, ...proof })) form.set(name, value);
    }
  }
  const issuerAnswer = await ask({ url, accept: "application/json", authorization, form });
  if (typeof issuerAnswer !== "object" || issuerAnswer === null || Array.isArray(issuerAnswer))
    throw new Error("an introspection endpoint's answer is not an object");
  return issuerAnswer as IssuerAnswer; // a JSON object, by the line above
}

interface Judging {
  readonly text: string;
  readonly hash: string;
  readonly issuer: TrustedIssuer;
  readonly bases: readonly string[];
  readonly at: Instant;
}

/**
 * An active token must pass all checks for a JWT of this issuer. The answer came from the issuer itself, so
 * it may omit the issuer's name and the token's name.
 */
function judge(
  issuerAnswer: IssuerAnswer,
  { text, hash, issuer, bases, at }: Judging,
): Result<ProvenToken, AccessTokenRefusal> {
  // the text "true" is not true
  if (issuerAnswer["active"] !== true) return err({ reason: "token_inactive" });
  const { token_type: type } = issuerAnswer;
  // RFC 7662 §2.1: the hint is not binding. The text may be a refresh token.
  if (type !== undefined && !(typeof type === "string" && /^(?:bearer|dpop)$/iu.test(type)))
    return err({ reason: "token_type_invalid" });
  // Some issuers use the token itself as its name, and names are recorded.
  const jti = issuerAnswer["jti"] === undefined || issuerAnswer["jti"] === text ? hash : issuerAnswer["jti"];
  const token = readExternalToken({ iss: issuer.iss, ...issuerAnswer, jti }, issuer, { bases, at });
  if (!token.ok) return token;
  // RFC 9449 §5: a DPoP token is bound to a key. Without the key, anyone who has the token could use it
  // under a different scheme.
  const isDpop = typeof type === "string" && type.toLowerCase() === "dpop";
  if (isDpop && token.value.binding.kind !== "key") return err({ reason: "token_type_invalid" });
  return ok({ ...token.value, keyId: undefined });
}
