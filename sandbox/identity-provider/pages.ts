/** A page is a few lines of HTML: no script, no style, no external content. */
const page = (title: string, body: string): string =>
  `<!doctype html>\n<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">\n<title>${text(title)}</title>\n<h1>${text(title)}</h1>\n${body}\n</html>\n`;

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
    `${problem === undefined ? "" : `<p role="alert">${text(problem)}</p>\n`}<form method="post" autocomplete="off">
<p><label>Login <input name="login" required maxlength="64" autocomplete="username"></label>
<p><label>Password <input name="password" type="password" required maxlength="128" autocomplete="current-password"></label>
${withCode ? '<p><label>Code of your authenticator <input name="code" required inputmode="numeric" pattern="[0-9]{6}" autocomplete="one-time-code"></label>\n' : ""}<p><button name="decision" value="allow">Sign in</button>
<button name="decision" value="deny" formnovalidate>Cancel</button>
</form>`,
  );
}

/** The page for consent. It lists the scopes that the client requests. */
export function consentPage(client: string, login: string, scopes: readonly string[]): string {
  return page(
    `${client} asks for access`,
    `<p>You are signed in as ${text(login)}. ${text(client)} asks for:</p>
<ul>${scopes.map((scope) => `<li>${text(scope)}</li>`).join("")}</ul>
<form method="post"><p><button name="decision" value="allow">Allow</button> <button name="decision" value="deny">Deny</button></form>`,
  );
}

export const messagePage = (title: string, message: string): string => page(title, `<p>${text(message)}</p>`);

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

const text = (value: string): string =>
  value.replaceAll(/[&<>"']/gu, (character) => entities[character] ?? "");
