// The part of the DOM that the console's scripts use. The workers' types have no DOM, and TypeScript's own would
// clash with them.
interface PageNode {
  textContent: string | null;
  readonly parentNode: PageNode | null;
}

interface PageElement extends PageNode {
  id: string;
  className: string;
  hidden: boolean;
  value: string;
  checked: boolean;
  disabled: boolean;
  readonly dataset: Record<string, string | undefined>;
  readonly files: ArrayLike<Blob> | null;
  readonly children: ArrayLike<PageElement>;
  append(...nodes: (PageNode | string)[]): void;
  replaceChildren(...nodes: (PageNode | string)[]): void;
  remove(): void;
  focus(): void;
  click(): void;
  setAttribute(name: string, value: string): void;
  removeAttribute(name: string): void;
  getAttribute(name: string): string | null;
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
  addEventListener(type: string, listener: (event: { preventDefault(): void }) => void): void;
}

interface PageDocument {
  readonly body: PageElement;
  title: string;
  createElement(name: string): PageElement;
  querySelector(selector: string): PageElement | null;
  querySelectorAll(selector: string): Iterable<PageElement>;
  addEventListener(type: string, listener: () => void): void;
  readonly visibilityState: string;
}

declare const document: PageDocument;
declare const location: { readonly href: string; readonly origin: string; assign(url: string): void };
declare const sessionStorage: {
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
};
declare class DOMParser {
  parseFromString(text: string, type: "text/html"): PageDocument;
}
declare const window: { print(): void };
