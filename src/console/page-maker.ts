import type { Child } from "hono/jsx";
import type { ConsolePage } from "./console-page.ts";
import type { ConsoleVisit } from "./visit.ts";

/** The content of a page for a proven operator; a Response is the whole answer. */
export type Render = (visit: ConsoleVisit) => Promise<PageContent>;
export type PageContent =
  | Response
  | {
      readonly status?: number;
      readonly content: Child;
      /** The page of the navigation that the content is of, if a step leads to a page other than its own. */
      readonly page?: ConsolePage;
    };

/** Makes a handler that shows a page, and a handler for a form that a page of the session sent. */
export interface PageMaker {
  readonly show: (page: ConsolePage, render: Render) => Handler;
  readonly step: (
    page: ConsolePage,
    act: (visit: ConsoleVisit, form: URLSearchParams) => Promise<PageContent>,
  ) => Handler;
}
export type Handler = (context: { readonly req: { readonly raw: Request } }) => Promise<Response>;
