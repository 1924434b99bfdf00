import { followLive } from "./live.ts";

const live = document.querySelector("[data-live]");
const address = live?.dataset["live"];
if (live && address !== undefined) followLive(live, address);
