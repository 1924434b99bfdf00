import * as z from "zod";
import { offerReview } from "./review-access.ts";

// The page's policy permits no code from texts, which zod would make for speed.
z.config({ jitless: true });

for (const section of document.querySelectorAll("[data-review]")) offerReview(section);
