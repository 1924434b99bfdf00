import { authenticateOperator } from "#admin/authenticate-operator";
import { endSessionVerb } from "#admin/end-session";
import { roles } from "#admin/operator";
import { Trail } from "#admin/trail";
import { publicFaces, type AdminRefusal } from "#admin/refusal";
import { addressOf, tlsClientAuthOf } from "#entrypoint/edge";
import { readCertificate } from "#identity/certificate/certificate";
import { judgeSignIn, type SignInDemand } from "#identity/sign-in";
import { equalInConstantTime } from "#kernel/constant-time";
import { toBase64url, utf8 } from "#kernel/encoded";
import { err, ok, type Result } from "#kernel/result";
import { Secret } from "#kernel/secret";
import { htmlAnswer, pageHeaders, redirectAnswer } from "./answers.ts";
import { refusalText, RefusedPage } from "./pages/messages.tsx";
import { SignedInPage, SignedOutPage, SignInFailedPage, SignInPage } from "./pages/sign-in.tsx";
import type { ConsolePorts } from "./ports.ts";
import {
  begunCookie,
  cookieNames,
  cookieOf,
  endedCookie,
  sessionCookie,
  type SessionSeal,
  sessionSignIns,
} from "./session.ts";
import { texts } from "./texts.ts";
import type { ConsoleVisit, VisitRefused } from "./visit.ts";

const begunSeconds = 600;
const callbackPath = "/console/signed-in";
const operatorScope = "openid operate";

/** The sign-in of a person: authorization code with PKCE (RFC 7636) at the issuer that the registry names. */
export class SignInPages {
  readonly #ports: ConsolePorts;
  readonly #seal: SessionSeal;

  constructor(ports: ConsolePorts, seal: SessionSeal) {
    this.#ports = ports;
    this.#seal = seal;
  }

  /** The page that names the operator of the certificate, and the issuer. */
  async show(request: Request, id: string): Promise<Response> {
    const headers = pageHeaders(id, this.#ports.places);
    const known = await this.#demandOf(request);
    if (!known.ok) return this.#refused(known.error.reason, id);
    const { demand, operator } = known.value;
    const note = new URL(request.url).searchParams.get("again") === "1" ? texts.signIn.again : undefined;
    return htmlAnswer(<SignInPage operator={operator} issuer={demand.iss} note={note} />, 200, headers);
  }

  /** Sends the browser to the issuer. */
  async begin(request: Request, id: string): Promise<Response> {
    const { issuers, places, admin } = this.#ports;
    const headers = pageHeaders(id, places);
    const known = await this.#demandOf(request);
    if (!known.ok) return this.#refused(known.error.reason, id);
    const { demand, x5t } = known.value;
    const [state, verifier] = [random(), random()];
    const challenge = new Uint8Array(await crypto.subtle.digest("SHA-256", utf8(verifier)));
    const address = new URL(await issuers.authorizationEndpoint(demand.iss));
    const parameters = {
      client_id: places.clientId,
      response_type: "code",
      redirect_uri: admin.url + callbackPath,
      scope: operatorScope,
      resource: admin.url,
      state,
      code_challenge: toBase64url(challenge),
      code_challenge_method: "S256",
      max_age: String(demand.maxAgeSeconds),
      ...(demand.acr !== undefined && { acr_values: demand.acr.join(" ") }),
    };
    for (const [name, value] of Object.entries(parameters)) address.searchParams.set(name, value);
    const until = admin.clock() + begunSeconds * 1000;
    const begun = await this.#seal.sealBegun({ state, verifier, iss: demand.iss, x5t, until });
    headers.append("set-cookie", begunCookie(begun, begunSeconds));
    return redirectAnswer(address.href, headers);
  }

  /**
   * The issuer sent the browser back. A new session begins, whatever cookie the browser had before. The sign-in
   * is on record, and so is a sign-in that the registry does not accept.
   */
  async finish(request: Request, id: string): Promise<Response> {
    const headers = pageHeaders(id, this.#ports.places);
    headers.append("set-cookie", endedCookie(cookieNames.begun));
    headers.append("set-cookie", endedCookie(cookieNames.session));
    const cookie = await this.#redeemed(request, id);
    if (!cookie.ok) return htmlAnswer(<SignInFailedPage why={cookie.error} />, 403, headers);
    headers.append("set-cookie", sessionCookie(cookie.value));
    // A page, not a redirect: the browser leaves a Strict cookie out of a redirect that began at the issuer.
    return htmlAnswer(<SignedInPage />, 200, headers);
  }

  /**
   * Ends the session everywhere: its token is denied, and the cookie of this browser is deleted. Then the browser
   * goes to the issuer's own end of a session, if the issuer publishes one. If the denial fails, the page says
   * that copies of the session live on.
   */
  async end({ id, session: { signIn }, run }: ConsoleVisit): Promise<Response> {
    const { admin, places } = this.#ports;
    const headers = pageHeaders(id, places);
    headers.append("set-cookie", endedCookie(cookieNames.session));
    try {
      const ended = await run(endSessionVerb(admin.registry, signIn), { document: {} });
      if (!ended.ok) return htmlAnswer(<SignedOutPage isPartial={true} />, 503, headers);
    } catch (fault) {
      admin.onFault({ requestId: id, name: fault instanceof Error ? fault.name : "unknown" });
      return htmlAnswer(<SignedOutPage isPartial={true} />, 503, headers);
    }
    const next = await this.#endAtIssuer(signIn.issuer).catch(() => undefined);
    return htmlAnswer(<SignedOutPage next={next} />, 200, headers);
  }

  /** The issuer sends the browser here after its own end of the session. */
  ended = (id: string): Response => htmlAnswer(<SignedOutPage />, 200, pageHeaders(id, this.#ports.places));

  /** OpenID Connect RP-Initiated Logout 1.0, by the client's id: the console has no ID token to hint with. */
  async #endAtIssuer(iss: string): Promise<string | undefined> {
    const { issuers, places, admin } = this.#ports;
    const endpoint = await issuers.endSessionEndpoint(iss);
    if (endpoint === undefined) return undefined;
    const address = new URL(endpoint);
    address.searchParams.set("client_id", places.clientId);
    address.searchParams.set("post_logout_redirect_uri", `${admin.url}/console/signed-out`);
    return address.href;
  }

  async #redeemed(request: Request, id: string): Promise<Result<string, string>> {
    const { admin, issuers } = this.#ports;
    const { failed } = texts.signIn;
    const at = admin.clock();
    const { searchParams } = new URL(request.url);
    const text = cookieOf(request.headers, cookieNames.begun);
    const begun = text === undefined ? undefined : await this.#seal.openBegun(text, at);
    if (begun === undefined || !equalInConstantTime(searchParams.get("state") ?? "", begun.state))
      return err(failed.begun);
    // RFC 9207: an answer of a different issuer
    const iss = searchParams.get("iss");
    const code = searchParams.get("code");
    if ((iss !== null && iss !== begun.iss) || code === null) return err(failed.issuer);
    const known = await this.#demandOf(request);
    if (!known.ok || known.value.x5t !== begun.x5t || known.value.demand.iss !== begun.iss)
      return err(failed.begun);
    const { demand, x5t, operator } = known.value;
    const what = { interaction: "console-sign-in", method: "GET", path: "console/signed-in" };
    const trail = new Trail({ id, at, address: addressOf(request.headers) }, admin.ledger, what);
    Object.assign(trail.seen, { certificate: x5t, operator });
    const refuse = async (reason: AdminRefusal["reason"]): Promise<Result<never, string>> => {
      await trail.refused({ status: publicFaces[reason].status, reason });
      return err(failed.refused);
    };

    const redeemed = await issuers.redeem(begun.iss, {
      code,
      verifier: begun.verifier,
      redirect: admin.url + callbackPath,
    });
    if (redeemed === undefined) return err(failed.issuer);
    const signIn = await admin.signIns.verify(redeemed.token, demand.iss, at);
    if (!signIn.ok) return refuse(signIn.error.reason);
    const { binding, ...statement } = signIn.value;
    // The token is bound to the key of this exchange: a token from elsewhere begins no session.
    if (binding.kind !== "key" || binding.jkt !== redeemed.jkt) return refuse("proof_key_mismatch");
    trail.seen.signIn = signIn.value;
    const judged = judgeSignIn(signIn.value, demand, at);
    if (!judged.ok) return refuse(judged.error.reason);
    const sealed = await this.#seal.sealSession({
      operator,
      x5t,
      signIn: { ...statement, amr: [...statement.amr] },
      formToken: random(),
    });
    const allowed = await this.#admitted(request, sealed);
    if (!allowed.ok) return refuse(allowed.error);
    if ((await trail.intends(undefined, undefined)) === "replayed") return err(failed.issuer);
    await trail.ended({ status: 200 });
    return ok(sealed);
  }

  /** The common checks of the operators' door with the new session: status, denials, roles. */
  async #admitted(request: Request, sealed: string): Promise<Result<void, AdminRefusal["reason"]>> {
    const { admin } = this.#ports;
    const call = {
      at: admin.clock(),
      method: "GET",
      url: admin.url + callbackPath,
      authorization: new Secret(`Bearer ${sealed}`),
      dpop: undefined,
      tlsClientAuth: tlsClientAuthOf(request),
    };
    const signIns = sessionSignIns(this.#seal);
    const operator = await authenticateOperator(call, roles, { ...admin, signIns }, {});
    return operator.ok ? ok(undefined) : err(operator.error.reason);
  }

  /** The operator of the certificate, and the demanded sign-in. */
  async #demandOf(
    request: Request,
  ): Promise<
    Result<
      { readonly operator: string; readonly x5t: string; readonly demand: SignInDemand },
      Pick<VisitRefused, "reason">
    >
  > {
    const certificate = await readCertificate(tlsClientAuthOf(request));
    if (!certificate.ok) return err(certificate.error);
    if (certificate.value === undefined) return err({ reason: "certificate_missing" });
    const { x5t } = certificate.value;
    const operator = await this.#ports.admin.operators.find(x5t);
    if (operator === undefined) return err({ reason: "operator_unknown" });
    if (operator.status !== "active") return err({ reason: "operator_suspended" });
    if (operator.kind === "machine") return err({ reason: "machine_has_no_console" });
    if (operator.signIn === undefined) return err({ reason: "sign_in_not_registered" });
    return ok({ operator: operator.id, x5t, demand: operator.signIn });
  }

  #refused(reason: VisitRefused["reason"], id: string): Response {
    const page = <RefusedPage text={refusalText(reason)} requestId={id} />;
    return htmlAnswer(page, 403, pageHeaders(id, this.#ports.places));
  }
}

const random = (): string => toBase64url(crypto.getRandomValues(new Uint8Array(32)));
