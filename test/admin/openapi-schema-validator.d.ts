/** The part that the test uses. */
declare module "@seriousme/openapi-schema-validator" {
  export class Validator {
    validate(document: object): Promise<{ readonly valid: boolean; readonly errors?: unknown }>;
  }
}
