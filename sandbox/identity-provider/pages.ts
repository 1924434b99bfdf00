import { createHash } from "node:crypto";
import { categories, type Choices } from "./consent/choices.ts";
import { scopesInWords } from "./consent/scope-words.ts";

const style =
  ":root{color-scheme:light dark;--ink:#1a1c1e;--soft:#54595f;--line:#c9ced4;--paper:#fff;--tint:#f3f5f7;--act:#0b57a4;--on-act:#fff}" +
  "@media(prefers-color-scheme:dark){:root{--ink:#e6e8ea;--soft:#a9b0b7;--line:#41474d;--paper:#15181b;--tint:#1f2327;--act:#8bbcf0;--on-act:#10151a}}" +
  "*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0;color:var(--ink);background:var(--tint)}" +
  "main{max-width:34rem;margin:2rem auto;padding:1.5rem;background:var(--paper);border:1px solid var(--line);border-radius:.5rem}" +
  "h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}h2{font-size:1.05rem;margin:1.5rem 0 .25rem}p{margin:.5rem 0}ul{margin:.5rem 0;padding-left:1.25rem}" +
  "label{display:block}fieldset{border:1px solid var(--line);border-radius:.5rem;margin:1.5rem 0 1rem;padding:.5rem 1rem 1rem}legend{font-weight:600;padding:0 .25rem}" +
  "fieldset label{display:flex;gap:.6rem;align-items:baseline;padding:.3rem 0}input:not([type=checkbox]){display:block;width:100%;font:inherit;padding:.5rem;margin-top:.25rem;border:1px solid var(--soft);border-radius:.25rem;color:var(--ink);background:var(--paper)}" +
  "button{font:inherit;padding:.6rem 1.25rem;margin:.5rem .5rem 0 0;border:1px solid var(--act);border-radius:.25rem;cursor:pointer;background:var(--paper);color:var(--act)}button[value=allow]{background:var(--act);color:var(--on-act)}" +
  "[role=alert]{border-left:.25rem solid #b3261e;padding-left:.75rem}small{color:var(--soft)}@media(max-width:36rem){main{margin:0;border:0;border-radius:0;min-height:100vh}}";

/** The source of the style for a Content-Security-Policy: a page has no further content besides text. */
export const styleSource = `'sha256-${createHash("sha256").update(style).digest("base64")}'`;

/** A page has text and one style: no script, no external content. */
const page = (title: string, body: string): string =>
  `<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">\n<title>${text(title)}</title><style>${style}</style></head>\n<body><main><h1>${text(title)}</h1>\n${body}\n</main></body></html>\n`;

export interface SignInPage {
  /** Asks for the second factor too. */
  readonly withCode: boolean;
  /** The reason why the last attempt failed. */
  readonly problem?: string;
}

/** The form is posted to the address of its page. */
export function signInPage({ withCode, problem }: SignInPage): string {
  return page(
    "Sign in",
    `${alert(problem)}<form method="post" autocomplete="off">
<p><label>Login <input name="login" required maxlength="64" autocomplete="username"></label>
<p><label>Password <input name="password" type="password" required maxlength="128" autocomplete="current-password"></label>
${withCode ? '<p><label>Code of your authenticator <input name="code" required inputmode="numeric" pattern="[0-9]{6}" autocomplete="one-time-code"></label>\n' : ""}<p><button name="decision" value="allow">Sign in</button>
<button name="decision" value="deny" formnovalidate>Cancel</button>
</form>`,
  );
}

export interface ConsentPage {
  readonly client: string;
  readonly login: string;
  /** The scopes that the client requests. */
  readonly scopes: readonly string[];
  /** The earlier choices of the person; undefined for a user who has no records here. */
  readonly choices: Choices | undefined;
  /** FHIR id of the patient for whom the app was launched. */
  readonly patient?: string | undefined;
  /** The reason why the choices were not filed. */
  readonly problem?: string;
}

/**
 * The page for consent. It says in words which data the app gets and for which purpose, and asks which sensitive
 * records the person shares.
 */
export function consentPage({ client, login, scopes, choices, patient, problem }: ConsentPage): string {
  const asked = scopesInWords(scopes, choices !== undefined)
    .map((sentence) => `<li>${text(sentence)}</li>`)
    .join("");
  const purpose =
    choices === undefined
      ? ""
      : "<p>The app asks on your behalf: it gets what you may see yourself (your own request, 45 CFR 164.524).";
  return page(
    `${client} asks for access`,
    `${alert(problem)}<p>You are signed in as ${text(login)}. ${text(client)} wants to:</p>
<ul>${asked}</ul>
${patient === undefined ? "" : `<p>The patient is ${text(patient)}.`}
${purpose}
<form method="post">${choices === undefined ? "" : choicesOf(choices)}<p><button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button>
<p><small>${effectOf(choices)}</small></form>`,
  );
}

/** What each button does: a person who denies must know that the ticks are not filed either. */
const effectOf = (choices: Choices | undefined): string =>
  choices === undefined
    ? "Allow gives the app this access. Deny gives it nothing."
    : "Allow gives the app this access and files your choice. Deny gives it nothing and files no choice.";

const choicesOf = (choices: Choices): string =>
  `<fieldset><legend>Your sensitive records</legend>
<p>Tick what those who treat you may see. They do not see the records of a category that is not ticked. Your choice does not change what you see yourself. You can choose again at each sign-in; a change counts within ten seconds.
${categories
  .map(
    ({ id, words }) =>
      `<label><input type="checkbox" name="share-${id}" value="yes"${choices.has(id) ? " checked" : ""}> ${text(words)}</label>`,
  )
  .join("\n")}
<p><small>Psychotherapy notes are never part of it. Your choice is filed as a Consent in your record.</small></fieldset>
`;

/** Asks for the app that is to be launched. The form leads to the page for this app. */
export const launchAppPage = (): string =>
  page(
    "Launch an app",
    `<form>
<p><label>Client id of the app <input name="client_id" required maxlength="256"></label>
<p><label>Address of its launch page, on this machine <input name="launch_uri" type="url" required maxlength="512" placeholder="http://localhost:4567/launch"></label>
<p><button>Continue</button>
</form>`,
  );

/** Asks who launches the app and for whom. */
export const launchPatientPage = (client: string, address: string, problem?: string): string =>
  page(
    `Launch ${client}`,
    `${alert(problem)}<p>The app opens at ${text(address)}.
<form method="post" autocomplete="off">
<p><label>Login <input name="login" required maxlength="64" autocomplete="username"></label>
<p><label>Password <input name="password" type="password" required maxlength="128" autocomplete="current-password"></label>
<p><label>FHIR id of the patient <input name="patient" required maxlength="64"></label>
<p><button name="decision" value="allow">Launch</button>
</form>`,
  );

/** `form` is oidc-provider's own form, which the buttons send. */
export const endSessionPage = (form: string): string =>
  page(
    "Sign out",
    `<p>Do you want to end your session at this sign-in page too?</p>
${form}
<p><button name="logout" value="yes" form="op.logoutForm">End the session</button> <button form="op.logoutForm">Stay signed in here</button></p>`,
  );

/** `form` is oidc-provider's own form, which the button sends. */
export const deviceCodePage = (form: string, hasFailed: boolean): string =>
  page(
    "Sign in at another machine",
    `${alert(hasFailed ? "That code is not right, or the sign-in was cancelled." : undefined)}<p>Type the code that the other machine shows.</p>
${form}
<p><button form="op.deviceInputForm">Continue</button></p>`,
  );

/** Names the client and the code: a person who did not begin this sign-in cancels it (RFC 8628 §5.4). */
export const deviceConfirmPage = (form: string, client: string, code: string): string =>
  page(
    "Is this your machine?",
    `<p>${text(client)} asks to sign in. Go on only if the machine before you shows this code: <strong>${text(code)}</strong></p>
${form}
<p><button form="op.deviceConfirmForm">Continue</button> <button name="abort" value="yes" form="op.deviceConfirmForm">Cancel</button></p>`,
  );

export const messagePage = (title: string, message: string): string => page(title, `<p>${text(message)}</p>`);

const alert = (problem: string | undefined): string =>
  problem === undefined ? "" : `<p role="alert">${text(problem)}</p>\n`;

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const text = (value: string): string =>
  value.replaceAll(/[&<>"']/gu, (character) => entities[character] ?? "");
