/** The part of oidc-provider 9 that the sandbox uses. The package has no types. */
declare module "oidc-provider" {
  import type { IncomingMessage, RequestListener, ServerResponse } from "node:http";

  /** Koa's context. `oidc` is present once the provider itself has seen the request. */
  export interface Context {
    readonly req: IncomingMessage;
    readonly res: ServerResponse;
    readonly method: string;
    readonly path: string;
    readonly host: string;
    query: Record<string, string | string[] | undefined>;
    status: number;
    type: string;
    body: unknown;
    readonly oidc?: OidcContext;
    get(header: string): string;
    set(header: string, value: string): void;
    redirect(url: string): void;
  }

  export interface OidcContext {
    readonly route: string;
    readonly params: Readonly<Record<string, string | undefined>>;
    readonly client?: Client;
    /** The answer to this step of an authorization request. */
    readonly result?: {
      readonly login?: { readonly acr?: string };
      readonly consent?: { readonly grantId?: string };
    };
    readonly session?: { readonly accountId?: string; grantIdFor(clientId: string): string | undefined };
    readonly provider: Provider;
    readonly entities: {
      readonly Account?: Account;
      readonly AccessToken?: { readonly scope?: string };
      readonly AuthorizationCode?: SignedIn;
      readonly DeviceCode?: SignedIn;
      readonly RefreshToken?: SignedIn;
    };
  }

  /** The method and time of a sign-in; `authTime` in seconds since 1970. */
  export interface SignedIn {
    readonly acr?: string;
    readonly amr?: readonly string[];
    readonly authTime?: number;
    readonly grantId?: string;
    readonly scopes: ReadonlySet<string>;
  }

  export interface Account {
    readonly accountId: string;
    claims(): Promise<Readonly<Record<string, unknown>>>;
  }

  export interface Client {
    readonly clientId: string;
    grantTypeAllowed(grantType: string): boolean;
  }

  /** An authorization request that waits for a sign-in or for consent. */
  export interface Interaction {
    readonly uid: string;
    readonly prompt: {
      readonly name: string;
      readonly details: {
        readonly missingOIDCScope?: readonly string[];
        readonly missingResourceScopes?: Readonly<Record<string, readonly string[]>>;
      };
    };
    readonly params: Readonly<Record<string, string | undefined>>;
    readonly session?: { readonly accountId?: string };
    readonly grantId?: string;
  }

  export interface Grant {
    addOIDCScope(scope: string): void;
    addResourceScope(resource: string, scope: string): void;
    save(): Promise<string>;
  }

  export type Middleware = (context: Context, next: () => Promise<void>) => Promise<void>;

  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>);
    readonly Grant: {
      new (of: { readonly accountId: string; readonly clientId: string }): Grant;
      find(id: string): Promise<Grant | undefined>;
    };
    readonly Client: { find(id: string): Promise<Client | undefined> };
    use(middleware: Middleware): this;
    on(event: "server_error", listener: (context: Context, fault: Error) => void): this;
    on(event: "error", listener: (fault: Error) => void): this;
    interactionDetails(req: IncomingMessage, res: ServerResponse): Promise<Interaction>;
    /** Returns the address of the next step. */
    interactionResult(
      req: IncomingMessage,
      res: ServerResponse,
      result: Readonly<Record<string, unknown>>,
      options: { readonly mergeWithLastSubmission: boolean },
    ): Promise<string>;
    callback(): RequestListener;
  }

  export const errors: {
    readonly InvalidClientAuth: new (description: string) => Error;
    readonly InvalidRequest: new (description: string) => Error;
    readonly InvalidScope: new (description: string, scope: string) => Error;
    readonly InvalidTarget: new (description: string) => Error;
    readonly SessionNotFound: new (description: string) => Error;
  };

  export const interactionPolicy: {
    readonly Check: new (reason: string, description: string, check: (context: Context) => boolean) => object;
    base(): { get(prompt: "login" | "consent"): { readonly checks: { add(check: object): void } } };
  };
}
