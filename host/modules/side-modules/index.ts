/** Side modules: the convention, what is checked, and what a sandbox gets. See docs/decisions/0042-side-modules.md. */
export { checkSideModule, editSideModule, makeSideModule } from "./prepare.ts";
export {
  decodeSideModule,
  encodeSideModule,
  GotModule,
  LinkGlobal,
  type PreparedSideModule,
  SIDE_MODULE_MAX_BYTES,
  type SideModule,
  SYMBOL_MODULE,
} from "./side-module.ts";
