import * as z from "zod";
import type { SignInVerifier } from "#identity/sign-in";
import type { Instant } from "#kernel/clock";
import { toBase64url, utf8 } from "#kernel/encoded";
import { err, ok } from "#kernel/result";
import type { Secret } from "#kernel/secret";

/**
 * RFC 6265bis §4.1.3.2: a cookie with this prefix comes from this host alone, by https, and counts for every
 * path. No other host of the domain can set it.
 */
export const cookieNames = { session: "__Host-phylax-console", begun: "__Host-phylax-sign-in" } as const;

/** The proven sign-in of a person, sealed into the session cookie. */
const sessionSchema = z.strictObject({
  operator: z.string(),
  /** The certificate of the connection at the sign-in. The cookie is of no use on a different connection. */
  x5t: z.string(),
  signIn: z.strictObject({
    issuer: z.string(),
    subject: z.string(),
    tokenId: z.string(),
    keyId: z.string().optional(),
    acr: z.string().optional(),
    amr: z.array(z.string()),
    authTime: z.number().optional(),
  }),
  /** Random; each form of the session carries it. */
  formToken: z.string(),
});
export type ConsoleSession = z.output<typeof sessionSchema>;

/** A sign-in that has begun in this browser. */
const begunSchema = z.strictObject({
  state: z.string(),
  verifier: z.string(),
  iss: z.string(),
  x5t: z.string(),
  until: z.number(),
});
export type BegunSignIn = z.output<typeof begunSchema>;

const nonceBytes = 12;

/** Seals sessions with AES-256-GCM. A text that this key did not seal for this use opens to nothing. */
export class SessionSeal {
  readonly #keys: Promise<readonly CryptoKey[]>;

  /** @param keys the first seals, each opens: a change of the key ends no session. */
  constructor(keys: readonly Secret<Uint8Array>[]) {
    const imported = keys.map((key) =>
      crypto.subtle.importKey("raw", Uint8Array.from(key.reveal()), "AES-GCM", false, ["encrypt", "decrypt"]),
    );
    this.#keys = Promise.all(imported);
  }

  sealSession = (session: ConsoleSession): Promise<string> => this.#seal("session", session);
  sealBegun = (begun: BegunSignIn): Promise<string> => this.#seal("begun", begun);

  async openSession(text: string): Promise<ConsoleSession | undefined> {
    return sessionSchema.safeParse(await this.#open("session", text)).data;
  }

  async openBegun(text: string, at: Instant): Promise<BegunSignIn | undefined> {
    const begun = begunSchema.safeParse(await this.#open("begun", text)).data;
    return begun !== undefined && begun.until > at ? begun : undefined;
  }

  async #seal(use: "session" | "begun", value: object): Promise<string> {
    const iv = crypto.getRandomValues(new Uint8Array(nonceBytes));
    const [key] = await this.#keys;
    if (key === undefined) throw new TypeError("a seal needs a key");
    const box = await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: utf8(`phylax console ${use} v1`) },
      key,
      utf8(JSON.stringify(value)),
    );
    const whole = new Uint8Array(nonceBytes + box.byteLength);
    whole.set(iv);
    whole.set(new Uint8Array(box), nonceBytes);
    return toBase64url(whole);
  }

  async #open(use: "session" | "begun", text: string): Promise<unknown> {
    const whole = new Uint8Array(Buffer.from(text, "base64url"));
    if (whole.length <= nonceBytes) return undefined;
    const additionalData = utf8(`phylax console ${use} v1`);
    const algorithm = { name: "AES-GCM", iv: whole.subarray(0, nonceBytes), additionalData };
    for (const key of await this.#keys) {
      try {
        const opened = await crypto.subtle.decrypt(algorithm, key, whole.subarray(nonceBytes));
        return JSON.parse(new TextDecoder().decode(opened));
      } catch {
        continue; // a text of a different key, or a changed text
      }
    }
    return undefined;
  }
}

/**
 * Proves a session cookie where the operators' API proves an access token: the statements of the token that the
 * issuer gave at the sign-in, bound to the certificate of that connection. The checks that follow are the same
 * for both: the age and strength of the sign-in, the denials, the operator's status and roles.
 */
export const sessionSignIns = (seal: SessionSeal): SignInVerifier => ({
  async verify(token, issuer) {
    const session = await seal.openSession(token.reveal());
    if (session === undefined || session.signIn.issuer !== issuer) return err({ reason: "issuer_unknown" });
    const { signIn, x5t } = session;
    return ok({
      ...signIn,
      keyId: signIn.keyId,
      acr: signIn.acr,
      authTime: signIn.authTime,
      binding: { kind: "certificate", x5t },
    });
  },
});

/** The value of a cookie; undefined if the request has it twice: an attacker may have planted one of the two. */
export function cookieOf(headers: Headers, name: string): string | undefined {
  const values = (headers.get("cookie") ?? "")
    .split(/;\s*/u)
    .filter((pair) => pair.startsWith(`${name}=`))
    .map((pair) => pair.slice(name.length + 1));
  const [value] = values;
  return values.length === 1 && value !== "" ? value : undefined;
}

const common = "Path=/; Secure; HttpOnly";

/** The session ends with the browser; the registry's limit on the age of a sign-in ends it earlier. */
export const sessionCookie = (value: string): string =>
  `${cookieNames.session}=${value}; ${common}; SameSite=Strict`;

/** The issuer sends the browser back by a link of its own site, so this cookie alone is Lax. */
export const begunCookie = (value: string, seconds: number): string =>
  `${cookieNames.begun}=${value}; ${common}; SameSite=Lax; Max-Age=${seconds}`;

export const endedCookie = (name: string): string => `${name}=; ${common}; SameSite=Strict; Max-Age=0`;
