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

/** Adds the pages of the console, each for the operators who may open it. */
export interface PageMaker {
  readonly show: (path: string, page: ConsolePage, render: Render) => void;
  /** A form that a page of the session sent. */
  readonly step: (
    path: string,
    page: ConsolePage,
    act: (visit: ConsoleVisit, form: URLSearchParams) => Promise<PageContent>,
  ) => void;
}
