import type { Child, PropsWithChildren } from "hono/jsx";
import type { Operator } from "#admin/operator";
import { assets } from "#console/assets.gen";
import { type ConsolePage, consolePages, mayOpen } from "#console/console-page";
import { formTokenField } from "#console/form";
import { texts } from "#console/texts";

interface ShellProps {
  readonly title: string;
  /** Undefined: no operator is signed in, and the page has no navigation. */
  readonly visitor?: { readonly operator: Operator; readonly formToken: string } | undefined;
  readonly current?: string | undefined;
  /** A moment after which the browser opens another page. */
  readonly next?: string | undefined;
}

/** The frame of every page: head, skip link, navigation, content. */
export function Shell({ title, visitor, current, next, children }: PropsWithChildren<ShellProps>) {
  return (
    <html lang={texts.lang}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        {next === undefined ? undefined : <meta http-equiv="refresh" content={`0;url=${next}`} />}
        <title>{`${title} · ${texts.product}`}</title>
        <link rel="icon" href={assets.icon.path} type="image/svg+xml" />
        <link rel="stylesheet" href={assets.style.path} integrity={assets.style.integrity} />
        {visitor === undefined ? undefined : (
          <script type="module" src={assets.script.path} integrity={assets.script.integrity}></script>
        )}
      </head>
      <body>
        <a class="skip" href="#content">
          {texts.skip}
        </a>
        <header>
          <a class="product" href="/console">
            {texts.product}
          </a>
          {visitor === undefined ? undefined : <Navigation {...visitor} current={current} />}
        </header>
        <main id="content" tabindex={-1}>
          {children}
        </main>
      </body>
    </html>
  );
}

interface NavigationProps {
  readonly operator: Operator;
  readonly formToken: string;
  readonly current: string | undefined;
}

function Navigation({ operator, formToken, current }: NavigationProps) {
  const pages: readonly ConsolePage[] = Object.values(consolePages);
  return (
    <>
      <nav aria-label={texts.navigation}>
        <ul>
          {pages
            .filter((page) => mayOpen(page, operator))
            .map(({ path, name }) => (
              <li>
                <a href={path} aria-current={path === current ? "page" : undefined}>
                  {name}
                </a>
              </li>
            ))}
        </ul>
      </nav>
      <form class="who" method="post" action="/console/sign-out">
        <input type="hidden" name={formTokenField} value={formToken} />
        <span>
          {texts.signedInAs} <strong>{operator.id}</strong>
        </span>
        <button class="quiet">{texts.signOut}</button>
      </form>
    </>
  );
}

interface BadgeProps {
  readonly tone: "good" | "warn" | "bad" | "still";
  readonly children?: Child;
}

/** A state in words and color: the color alone says nothing. */
export function Badge({ tone, children }: BadgeProps) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** A table whose rows become cards on a phone: each cell has the name of its column. */
interface TableProps {
  readonly caption: string;
  readonly heads: readonly string[];
  readonly rows: readonly (readonly Child[])[];
  readonly none?: string;
}

/** Without rows: the sentence in `none`, if there is one. */
export function Table({ caption, heads, rows, none }: TableProps) {
  if (rows.length === 0 && none !== undefined) return <p>{none}</p>;
  return (
    <table>
      <caption class="unseen">{caption}</caption>
      <thead>
        <tr>
          {heads.map((head) => (
            <th scope="col">{head}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map(([first, ...cells]) => (
          <tr>
            <th scope="row" data-head={heads[0]}>
              {first}
            </th>
            {cells.map((cell, i) => (
              <td data-head={heads[i + 1]}>{cell}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
