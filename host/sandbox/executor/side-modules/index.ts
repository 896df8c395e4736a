/** The side modules of a call, linked into its sandbox. See docs/decisions/0042-side-modules.md. */
export { SideModules, type SideModulesHost } from "./side-modules.ts";
