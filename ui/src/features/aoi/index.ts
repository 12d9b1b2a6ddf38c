export { AreaPanel } from "./AreaPanel";
export { AreaTools } from "./AreaTools";
