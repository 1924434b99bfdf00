import { english, type PageTexts } from "./english.ts";

/** The languages of the page. A further language is a further file, and a word in this list. */
export const languages: readonly PageTexts[] = [english];

/** The texts of a page with this `lang`; undefined: no language of this version. */
export const textsOf = (language: string): PageTexts | undefined =>
  languages.find((texts) => texts.language === language);
